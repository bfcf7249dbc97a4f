"""Checks checkpoint files before they are read, and reads them without running code in them."""

import hashlib
import os.path as osp
import pickle
import re
import types
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from torch._weights_only_unpickler import _get_allowed_globals

from ..utils.errors import InputError
from ..utils.files import written_whole
from .paddle import SUFFIX as PADDLE_SUFFIX
from .paddle import load_arrays
from .safe_types import checkpoint_types
from .safetensors_files import SUFFIX as SAFETENSORS_SUFFIX
from .safetensors_files import check_tensors, load_tensors


def check_checkpoint(path: str) -> None:
    """Refuse a local file that is not a complete checkpoint, before anything slow begins.

    Addresses (``https://``, ``hardnet://``) are not checked here, but by their loaders.

    Args:
        path (str): Path or address of the checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is truncated, is a folder or a web page, or was not written by
            ``torch.save``.
    """
    if '://' in path:
        return
    path = osp.expanduser(path)
    if osp.isdir(path):
        raise InputError(f'{path} is a folder, no checkpoint')
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no checkpoint {path}')
    with open(path, 'rb') as file:
        start = file.read(64)
    # safetensors' first number, the length of its header, may have the bytes of ' <', and has zeros
    if start.lstrip().startswith(b'<') and b'\0' not in start:
        raise InputError(f'{path} is a web page, no checkpoint')
    if path.endswith(SAFETENSORS_SUFFIX):
        return check_tensors(path)
    # torch.save writes a zip archive, whose directory is at its end. Before PyTorch 1.6 it wrote
    # a plain pickle.
    if not zipfile.is_zipfile(path):
        if start.startswith(b'\x80'):
            return
        raise InputError(f'{path} is {"cut off" if start.startswith(b"PK") else "no checkpoint"}')
    try:
        with zipfile.ZipFile(path) as archive:
            _check_archive(path, archive.infolist())
    except zipfile.BadZipFile as error:
        raise InputError(f'{path} is cut off or damaged: {error}') from error


def _check_archive(path, records):
    """Refuse an archive that torch.save did not write, and one that is more than it weighs."""
    names = [record.filename for record in records]
    if not any(name.endswith('data.pkl') for name in names):
        raise InputError(f'{path} is a zip archive, but no checkpoint of torch.save')
    if any(name.endswith('constants.pkl') for name in names):
        raise InputError(f'{path} is a model of TorchScript, no checkpoint')
    compressed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
    if compressed or sum(record.file_size for record in records) > osp.getsize(path):
        raise InputError(f'{path} unpacks to more than its size, which torch.save does not write')


def _check_sums(path):
    """Compare each record of an archive with its checksum, which PyTorch does not."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        try:
            wrong = archive.testzip()
        except (zipfile.BadZipFile, RuntimeError, EOFError) as error:  # of a record's own header
            raise InputError(f'{path} is damaged: {error}') from error
    if wrong:
        raise InputError(f'{path} is damaged: the checksum of {wrong} in it is wrong')


def check_hash(path: str | Path, place: str | Path | None = None) -> None:
    """Compare a file's SHA-256 with the hash in its name, or with the one recorded beside it.

    PyTorch's hub puts the first digits of the hash into the name: ``name-0123abcd.pth``. For other
    files, :func:`record_hash` stores the hash in a file of its own. A file without either is
    accepted.

    Args:
        path (str | Path): The file.
        place (str | Path, optional): Where the file will be stored, if not at ``path``. The name
            and the record there are used. Defaults to None.

    Raises:
        InputError: If the hashes differ.
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
    """Store a file's SHA-256 beside the place where the file will be.

    Nothing is written if the name contains a hash or if there is a record already. The record has
    the format of ``sha256sum``.

    Args:
        path (Path): The file.
        place (Path): Where the file will be stored.
    """
    record = hash_record(place)
    if not (_named_hash(place) or record.is_file()):
        with written_whole(record) as new:
            new.write_text(f'{_sha256(path)}  {place.name}\n')


def hash_record(path: Path) -> Path:
    """Return the path of the file that records another file's hash."""
    return path.with_name(f'{path.name}.sha256')


def _named_hash(path):
    named = re.search(r'-([0-9a-f]{8,})\.', path.name)
    return named and named[1]


def _sha256(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:  # in parts, of a file that may be larger than the memory
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def load_weights(path: str | IO[bytes], map_location: str | torch.device | None = 'cpu') -> Any:
    """Read a checkpoint from an untrusted source: tensors and plain values, no code.

    Args:
        path (str | IO[bytes]): A local file. Paddle's files end in ``.pdparams``. An open file is
            read without the checks of :func:`check_checkpoint`.
        map_location (str | torch.device, optional): As of ``torch.load``. Defaults to 'cpu'.

    Returns:
        Any: The file's content, usually a dict.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is damaged, is not a checkpoint, asks to run code, or has tensors of
            a device that is not here, and ``map_location`` names no other.
    """
    if isinstance(path, str):
        check_checkpoint(path)
        path = osp.expanduser(path)
        if path.endswith(SAFETENSORS_SUFFIX):
            return load_tensors(path, map_location)
        _check_sums(path)
    try:
        if isinstance(path, str) and path.endswith(PADDLE_SUFFIX):
            return load_arrays(path)
        return _read(path, map_location)
    except (OSError, torch.cuda.OutOfMemoryError):
        raise
    except pickle.UnpicklingError as error:
        name = re.search(r'(?:GLOBAL|[Uu]nsupported global:) ([\w.]+)', str(error))
        if name is None:
            raise InputError(f'{path} is damaged') from error
        raise InputError(
            f'{path} asks to run {name[1]}, which weights do not need: refused'
        ) from error
    except Exception as error:  # whatever the bytes of a damaged pickle may be taken for
        wrong = 'is cut off or damaged'
        if 'deserialize object on' in str(error):
            wrong = "has tensors of a device that is not here: read it with map_location='cpu'"
        raise InputError(f'{path} {wrong}') from error


def _read(file, map_location):
    if torch.__version__ < (2, 6):
        return torch.load(file, map_location, pickle_module=_PICKLE, weights_only=False)
    allowed = torch.serialization.get_safe_globals()
    try:
        with torch.serialization.safe_globals(checkpoint_types()):
            return torch.load(file, map_location, weights_only=True)
    finally:  # leaving safe_globals forgets what was allowed before, too
        torch.serialization.add_safe_globals(allowed)


class _Unpickler(pickle.Unpickler):
    """``weights_only`` for PyTorch before 2.6, where NumPy's scalars cannot be allowed.

    FC-HarDNet's published file contains one, its best IoU; mmengine's contain them in their log.
    """

    allowed = {
        **_get_allowed_globals(),
        'builtins.set': set,
        '_codecs.encode': lambda text, encoding: text.encode(encoding),
    }

    def find_class(self, module, name):
        """Return the object that a pickle names, if checkpoints need it.

        Raises:
            UnpicklingError: If they do not.
        """
        full = f'{module.replace("__builtin__", "builtins")}.{name}'
        for entry in checkpoint_types():
            value, full_name = entry if isinstance(entry, tuple) else (entry, None)
            if (full_name or f'{value.__module__}.{value.__qualname__}') == full:
                return value
        if full not in self.allowed:
            raise pickle.UnpicklingError(f'unsupported global: {full}')
        return self.allowed[full]


# The attributes of a pickle module that torch.load uses.
_PICKLE = types.SimpleNamespace(
    __name__='pickle',
    Unpickler=_Unpickler,
    load=lambda file, **kwargs: _Unpickler(file, **kwargs).load(),
)
