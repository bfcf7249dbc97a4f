"""The file formats for end-to-end models, each with its runtime.

A format is an entry of :data:`FORMATS` and a class of :data:`RUNTIMES`. ``convert`` writes the
files, and an instance loads them. Calling the instance maps an image batch ``(N, 3, H, W)`` float32
to the outputs, a dict of NumPy arrays. Its ``classes`` are the names of the classes in the file, or
None. A converter installs nothing, sends nothing, and only writes to the folder of its file.
"""

from pathlib import Path

from ...utils.errors import InputError
from .mnn import Mnn
from .ncnn import Ncnn
from .onnx import Onnx
from .openvino import OpenVino
from .table import FORMATS
from .torchscript import TorchScript

__all__ = ['FORMATS', 'RUNTIMES', 'is_exported', 'load']

RUNTIMES = dict(onnx=Onnx, openvino=OpenVino, torch=TorchScript, mnn=Mnn, ncnn=Ncnn)
NAMES = {row.suffix: name for name, row in FORMATS.items()}


def load(path, **kwargs):
    """Load an exported file by its suffix.

    Args:
        path (str | Path): The main file; see :data:`FORMATS`.
        **kwargs: ``threads`` (int), and ``dtype`` (str), the type of the computation: 'float32' or
            'bfloat16'.

    Returns:
        callable: An instance of the format's class, as this package's docstring describes it.

    Raises:
        FileNotFoundError: If the file or one of its companions does not exist.
        ImportError: If the format's runtime is not installed.
        InputError: If the suffix is unknown, the runtime cannot read the file, or it does not
            support ``dtype``.
    """
    name = NAMES.get(Path(path).suffix)
    if name is None:
        raise InputError(f'{path} is no exported file: {[*NAMES]}')
    for file in FORMATS[name].files(path):
        if not file.is_file():
            raise FileNotFoundError(f'there is no {file}, which {name} needs')
    try:
        return RUNTIMES[name](path, **kwargs)
    except (InputError, ImportError):
        raise
    except Exception as error:  # each runtime has errors of its own for a file it cannot read
        raise InputError(
            f'{path} cannot be read by {name}, it is damaged or no file of tools/export.py: {error}'
        ) from error


def is_exported(path):
    """Return whether a path is that of an exported file, by its suffix."""
    return Path(path).suffix in NAMES
