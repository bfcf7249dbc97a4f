"""The table of formats: files, contents and required packages.

It imports nothing that takes time, so that a command line can be checked at once.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple


class Format(NamedTuple):
    """A file format.

    Attributes:
        suffix (str): Suffix of the main file, which users name.
        packages (tuple[str]): Packages that convert and run it.
        inside (str): The last step of the model that its files contain, as in
            :class:`EndToEndModel`.
        any_size (bool): Whether a file can take images of other sizes than that of the export.
            Defaults to True.
        companions (tuple[str]): Suffixes of the other files, which replace ``suffix``.
        int8_packages (tuple[str], optional): Packages that quantise it; None if int8 is not
            supported.
    """

    suffix: str
    packages: tuple
    inside: str
    any_size: bool = True
    companions: tuple = ()
    int8_packages: tuple | None = None

    def files(self, path):
        """Return all files of the format for a main file, the main file first."""
        return [Path(path), *(Path(path).with_suffix(suffix) for suffix in self.companions)]

    def missing_packages(self, int8=False):
        """Return the packages that are not installed."""
        packages = (*self.packages, *(self.int8_packages if int8 else ()))
        return [package for package in packages if importlib.util.find_spec(package) is None]


# OpenVINO only finds its weights by this name. ncnn's suffix differs, so that both can be stored.
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
    """Return the existing files that prevent an export to a path.

    With ``overwrite`` only folders do, which are never replaced.
    """
    files = FORMATS[name].files(path)
    if overwrite:
        return [file for file in files if file.is_dir() and not file.is_symlink()]
    return [file for file in files if file.exists() or file.is_symlink()]


def exists_hint(files):
    """Return a message about existing files."""
    names = ', '.join(map(str, files))
    if any(file.is_dir() for file in files):
        return f'{names} is there already, and a folder among it: choose another --out'
    return f'{names} is there already: choose another --out, or pass --overwrite'


def install_hint(packages):
    """Return a message that says how to install missing packages."""
    return (
        f'this needs {", ".join(packages)}, which is not installed: '
        "pip install 'hardnet_mm[export]' brings every format's packages"
    )
