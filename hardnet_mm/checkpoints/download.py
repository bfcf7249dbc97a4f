"""Finds the published files on this machine, or downloads them once."""

import hashlib
import os
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import Progress

from ..utils.errors import InputError
from ..utils.files import written_whole
from .files import check_checkpoint, check_hash, load_weights, record_hash
from .keys import convert_official
from .published import get_weights

FOLDER_VARIABLE = 'HARDNET_WEIGHTS'
MIRROR_VARIABLE = 'HARDNET_WEIGHTS_MIRROR'
TIMEOUT = 30  # seconds without a byte


def find_weights(name: str) -> Path:
    """Return the path of a published file, which is downloaded if this machine does not have it.

    Two places are searched: the folder that the environment variable ``HARDNET_WEIGHTS`` names,
    and PyTorch's hub cache. Otherwise the file is downloaded into that cache, by one process at a
    time. Addresses are tried in order: the mirror that ``HARDNET_WEIGHTS_MIRROR`` names, if any,
    then the published ones.

    If the file's name has no hash, the hash of the first download is recorded beside the file.
    Later downloads must have the same hash.

    Args:
        name (str): A name of :data:`~hardnet_mm.checkpoints.published.WEIGHTS`, with or without
            ``hardnet://``.

    Returns:
        Path: An existing file. Its content is not checked here, but when it is loaded.

    Raises:
        InputError: If the name is unknown, ``HARDNET_WEIGHTS_MIRROR`` is not an address, or the
            downloaded file is not a complete checkpoint.
        FileNotFoundError: If ``HARDNET_WEIGHTS`` names a folder that does not exist.
        ConnectionError: If the file cannot be downloaded.
    """
    weights = get_weights(name)
    file = weights.file
    if named := os.environ.get(FOLDER_VARIABLE):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(f'{FOLDER_VARIABLE} names {folder}, which is no folder')
        if (folder / file).is_file():
            return folder / file
    path = Path(torch.hub.get_dir(), 'checkpoints', file)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f'.{file}.lock')
    with FileLock(lock):
        try:
            if not path.is_file():  # another process may have been first
                _download_from_first(_addresses(weights), path)
        finally:
            # A waiting process still holds the removed lock file. A process that comes later
            # makes a new one and may download at the same time: into a folder of its own, and
            # the file that it puts in place is the same.
            with suppress(OSError):
                lock.unlink()
    return path


def _addresses(weights):
    """Return the addresses to try, in order."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        return weights.addresses
    if not mirror.startswith(('http://', 'https://')):
        raise InputError(
            f'{MIRROR_VARIABLE} must be an address of a folder, http://... or https://..., got '
            f'{mirror!r}; a folder of this machine is named by {FOLDER_VARIABLE}'
        )
    return (f'{mirror.rstrip("/")}/{weights.file}', *weights.addresses)


def _download_from_first(addresses, path):
    """Download from the first address that has the file. If none has it, report every failure."""
    errors = []
    for address in addresses:
        try:
            return _download(address, path)
        except (ConnectionError, InputError) as error:
            errors.append(error)
    words = '; '.join(map(str, errors))
    if any(isinstance(error, InputError) for error in errors):
        raise InputError(f'{words}; nothing was stored') from errors[-1]
    raise ConnectionError(
        f'{words}: check the network, or put the file into {path.parent} or into a folder that '
        f'{FOLDER_VARIABLE} names, as {path.name}, or name a mirror in {MIRROR_VARIABLE}; '
        'training starts without it by --cfg-options load_from=None, or '
        'model.backbone.init_cfg=None where the backbone loads it, and a model in Python by '
        'pretrained=False'
    ) from errors[-1]


def download_once(address: str, folder: str | None = None) -> Path:
    """Return the path of the file at an address, which is downloaded if this machine has no copy.

    Args:
        address (str): The address. The file's name is a hash of the address, followed by the last
            part of the address, because many files are called ``model.safetensors``.
        folder (str, optional): Folder in which the file is stored. Defaults to None: PyTorch's hub
            cache.

    Raises:
        ConnectionError: If the file cannot be downloaded.
        InputError: If it is not a complete checkpoint.
    """
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    if not name:
        raise InputError(f'{address} names no file')
    prefix = hashlib.sha256(address.encode()).hexdigest()[:12]
    path = Path(folder or Path(torch.hub.get_dir(), 'checkpoints'), f'{prefix}_{name}')
    if not path.is_file():
        with written_whole(path) as new:
            _fetch_whole(address, new)
            try:
                check_checkpoint(str(new))
            except InputError as error:
                raise InputError(str(error).replace(str(new), address)) from error
    return path


def _download(address, path):
    """Download a file to a path. Nothing is stored if the file is not a checkpoint."""
    with written_whole(path) as new:  # under the same name, which may contain the hash
        _fetch_whole(address, new)
        try:
            load_original(new, place=path)
        except InputError as error:
            raise InputError(str(error).replace(str(new), address)) from error
        record_hash(new, path)  # first, so that no file is ever without its record


def _fetch_whole(address, path):
    """Write the content at an address to a path, and check that it is complete."""
    try:
        size = _fetch(address, path)
    except (OSError, HTTPException) as error:
        raise ConnectionError(f'{address} could not be downloaded ({error})') from error
    if size is not None and path.stat().st_size < size:
        raise ConnectionError(
            f'{address} broke off after {path.stat().st_size} of {size} bytes, try again'
        )


def _fetch(address, path):
    """Write an address's content to a path, and return its Content-Length, or None."""
    request = Request(address, headers={'User-Agent': 'hardnet_mm'})
    with urlopen(request, timeout=TIMEOUT) as response, open(path, 'wb') as target:
        size = response.headers.get('Content-Length')
        size = None if size is None else int(size)
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task(path.name, total=size)
            while chunk := response.read(2**20):
                target.write(chunk)
                progress.advance(task, len(chunk))
    return size


def load_original(
    path: str | Path, map_location: str | torch.device = 'cpu', place: Path | None = None
) -> dict:
    """Read a file of an original program as a checkpoint of mmengine.

    The file's hash is checked if one is known.

    Args:
        path (str | Path): The file.
        map_location (str | torch.device): As of ``torch.load``. Defaults to 'cpu'.
        place (Path, optional): Where the file will be stored, if not at ``path``. Its name may
            contain the hash. Defaults to None.

    Returns:
        dict: ``meta``, which is empty, and ``state_dict`` of this plugin's model.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is damaged, has another hash, or belongs to none of the originals.
    """
    check_checkpoint(str(path))  # a truncated file has another hash, too; this error says why
    check_hash(path, place)
    return as_checkpoint(load_weights(str(path), map_location))


def as_checkpoint(original: dict) -> dict:
    """Convert an original's checkpoint to mmengine's form.

    Args:
        original (dict): As of :func:`~hardnet_mm.checkpoints.convert_official`.

    Returns:
        dict: ``meta``, which is empty, and ``state_dict``: the keys that mmengine's hooks read.
    """
    return dict(meta={}, state_dict=convert_official(original))
