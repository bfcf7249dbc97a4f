"""Checkpoint files, checked before anything is read from them, and read without running code."""

import collections
import hashlib
import os.path as osp
import pickle
import re
import types
import zipfile
from pathlib import Path

import torch

from ..utils.errors import InputError
from ..utils.files import written_whole
from .paddle import SUFFIX as PADDLE_SUFFIX
from .paddle import load_arrays
from .safe_types import checkpoint_types
from .safetensors_files import SUFFIX as SAFETENSORS_SUFFIX
from .safetensors_files import check_tensors, load_tensors

FOREIGN_SUFFIXES = (PADDLE_SUFFIX, SAFETENSORS_SUFFIX)  # of files that torch.load does not read


def check_checkpoint(path: str) -> None:
    """Refuse a local file that is no whole checkpoint, before anything else costs time.

    Addresses (``https://``, ``hardnet://``) are left to their loaders.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is cut off, is a web page, or is no file of ``torch.save``.
    """
    if '://' in path:
        return
    path = osp.expanduser(path)
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no checkpoint {path}')
    with open(path, 'rb') as file:
        start = file.read(64)
    if start.lstrip().startswith(b'<'):
        raise InputError(f'{path} is a web page, no checkpoint')
    if path.endswith(SAFETENSORS_SUFFIX):
        return check_tensors(path)
    # torch.save writes a zip archive, whose directory is at its end; before 1.6, a plain pickle.
    if not zipfile.is_zipfile(path):
        if start.startswith(b'\x80'):
            return
        raise InputError(f'{path} is {"cut off" if start.startswith(b"PK") else "no checkpoint"}')
    with zipfile.ZipFile(path) as archive:
        if not any(name.endswith('data.pkl') for name in archive.namelist()):
            raise InputError(f'{path} is a zip archive, but no checkpoint of torch.save')


def check_hash(path: str | Path, place: str | Path | None = None) -> None:
    """Compare a file with the hash in its name, or with the one recorded beside it.

    PyTorch's hub has the hash in the name, ``name-0123abcd.pth``. For other files
    :func:`record_hash` writes one down.

    Args:
        path (str | Path): The file.
        place (str | Path, optional): Where it is to lie, if it is not there yet. Defaults to None.

    Raises:
        InputError: If the file's SHA-256 does not begin so.
    """
    path = Path(path).expanduser()
    place = Path(place or path).expanduser()
    record = hash_record(place)
    if named := _named_hash(place):
        wanted, source, meaning = named, 'its name promises', 'it was damaged or replaced'
    elif record.is_file():
        wanted, source = record.read_text().partition(' ')[0].strip(), f'{record} says'
        meaning = 'it is not the file first downloaded; if it may change, delete that record'
    else:
        return
    found = _sha256(path)[: len(wanted)]
    if found != wanted:
        raise InputError(f'{path} has the SHA-256 {found}..., but {source} {wanted}: {meaning}')


def record_hash(path: Path, place: Path) -> None:
    """Write a file's hash beside the place that it is for, unless its name or a record has it.

    The record is in the format of ``sha256sum``.
    """
    record = hash_record(place)
    if not (_named_hash(place) or record.is_file()):
        with written_whole(record) as new:
            new.write_text(f'{_sha256(path)}  {place.name}\n')


def hash_record(path: Path) -> Path:
    """Return the path of the record of a file's hash."""
    return path.with_name(f'{path.name}.sha256')


def _named_hash(path):
    named = re.search(r'-([0-9a-f]{8,})\.', path.name)
    return named and named[1]


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_weights(path: str, map_location: str | torch.device = 'cpu') -> dict:
    """Read a foreign checkpoint, tensors and plain values only; no code in it is run.

    Args:
        path (str): A local file; one of Paddle's ends in ``.pdparams``.
        map_location (str | torch.device): As of ``torch.load``. Defaults to 'cpu'.

    Returns:
        dict: What the file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is damaged, is no checkpoint, or wants to run code.
    """
    check_checkpoint(path)
    path = osp.expanduser(path)
    if path.endswith(SAFETENSORS_SUFFIX):
        return load_tensors(path, map_location)
    try:
        if path.endswith(PADDLE_SUFFIX):
            return load_arrays(path)
        if torch.__version__ < (2, 6):
            return torch.load(path, map_location, pickle_module=_PICKLE, weights_only=False)
        allowed = torch.serialization.get_safe_globals()
        try:
            with torch.serialization.safe_globals(checkpoint_types()):
                return torch.load(path, map_location, weights_only=True)
        finally:  # leaving safe_globals forgets what was allowed before, too
            torch.serialization.add_safe_globals(allowed)
    except pickle.UnpicklingError as error:
        name = re.search(r'(?:GLOBAL|[Uu]nsupported global:) ([\w.]+)', str(error))
        if name is None:
            raise InputError(f'{path} is damaged') from error
        raise InputError(
            f'{path} asks to run {name[1]}, which weights do not need: refused'
        ) from error
    except (EOFError, RuntimeError) as error:
        raise InputError(f'{path} is cut off or damaged') from error


class _Unpickler(pickle.Unpickler):
    """weights_only of PyTorch before 2.6, which cannot be told of NumPy's scalars.

    FC-HarDNet's published file holds one, its best IoU.
    """

    allowed = {
        ('collections', 'OrderedDict'): collections.OrderedDict,
        ('_codecs', 'encode'): lambda text, encoding: text.encode(encoding),
        **{
            ('torch._utils', name): getattr(torch._utils, name)
            for name in ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_parameter')
        },
    }

    def find_class(self, module, name):
        """Return what a pickle names, if weights need it."""
        for entry in checkpoint_types():
            value, full_name = entry if isinstance(entry, tuple) else (entry, None)
            if (full_name or f'{value.__module__}.{value.__qualname__}') == f'{module}.{name}':
                return value
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f'unsupported global: {module}.{name}')
        return self.allowed[module, name]


# What torch.load asks of a pickle module.
_PICKLE = types.SimpleNamespace(
    __name__='pickle',
    Unpickler=_Unpickler,
    load=lambda file, **kwargs: _Unpickler(file, **kwargs).load(),
)
