"""The file formats that an end-to-end model is exported to, each with the runtime that runs it.

A format is a row of :data:`FORMATS` and a class of :data:`RUNTIMES`: ``convert`` writes the files,
an instance loads them, and a call maps an image batch ``(N, 3, H, W)`` float32 to the outputs, a
dict of NumPy arrays. ``classes`` are the names of the classes that the file holds, or None. A
converter installs nothing, sends nothing, and writes into the folder of its file alone.
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
        **kwargs: ``threads`` (int) and ``dtype`` (str) to compute in, 'float32' or 'bfloat16'.

    Returns:
        callable: See this package's description.

    Raises:
        FileNotFoundError: If it is not there, or one of the files that belong to it.
        ImportError: If its runtime is not installed.
        InputError: If it has another suffix, the runtime cannot read it, or has no such ``dtype``.
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
    """Tell an exported file from a checkpoint, by its suffix."""
    return Path(path).suffix in NAMES
