"""The table of formats: what each one writes and holds, and the packages it takes.

It imports nothing that takes time, so that a command line is checked before anything else.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple


class Format(NamedTuple):
    """A file format.

    Attributes:
        suffix (str): Of the main file, the one that users name.
        packages (tuple[str]): What converts and runs it.
        inside (str): How much of a model its files hold, as :class:`EndToEndModel` has it.
        any_size (bool): Whether a file can take images of other sizes than it was exported at.
            Defaults to True.
        companions (tuple[str]): Suffixes of the files beside, in the place of ``suffix``.
        int8_packages (tuple[str], optional): What quantises it; None where nothing here does.
    """

    suffix: str
    packages: tuple
    inside: str
    any_size: bool = True
    companions: tuple = ()
    int8_packages: tuple | None = None

    def files(self, path):
        """Return every file that is written for a main file, the main file first."""
        return [Path(path), *(Path(path).with_suffix(suffix) for suffix in self.companions)]

    def missing_packages(self, int8=False):
        """Return the packages that are not installed."""
        packages = (*self.packages, *(self.int8_packages if int8 else ()))
        return [package for package in packages if importlib.util.find_spec(package) is None]


# OpenVINO finds its weights by this name alone; ncnn is told the name, and leaves it to OpenVINO
FORMATS = dict(
    onnx=Format('.onnx', ('onnx', 'onnxruntime'), 'nms', int8_packages=()),
    openvino=Format(
        '.xml', ('onnx', 'openvino'), 'nms', companions=('.bin',), int8_packages=('nncf',)
    ),
    torch=Format('.torchscript', (), 'decode'),
    mnn=Format('.mnn', ('onnx', 'MNN'), 'decode'),
    ncnn=Format('.param', ('ncnn', 'pnnx'), 'network', any_size=False, companions=('.ncnn.bin',)),
)


def existing_files(path, name, overwrite=False):
    """Return which of a format's files are in the way, for the main file at a path.

    With ``overwrite`` those are folders: nothing in them was asked to go.
    """
    files = FORMATS[name].files(path)
    if overwrite:
        return [file for file in files if file.is_dir() and not file.is_symlink()]
    return [file for file in files if file.exists() or file.is_symlink()]


def exists_hint(files):
    """Return a sentence on files that are there already."""
    names = ', '.join(map(str, files))
    if any(file.is_dir() for file in files):
        return f'{names} is there already, and a folder among it: choose another --out'
    return f'{names} is there already: choose another --out, or pass --overwrite'


def install_hint(packages):
    """Return a sentence on how to get packages that are missing."""
    return (
        f'this needs {", ".join(packages)}, which is not installed: '
        "pip install 'hardnet_mm[export]' brings every format's packages"
    )
