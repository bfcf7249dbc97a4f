"""The published files: found on this machine, or downloaded once."""

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
    """Return the path of a published file, downloaded if it is not at hand.

    It is looked for in the folder that the environment variable ``HARDNET_WEIGHTS`` names, and in
    PyTorch's hub cache, where it is downloaded to once, whole, and by one process at a time: from
    the mirror that ``HARDNET_WEIGHTS_MIRROR`` names, if it is set, or else from the first of the
    published addresses that has it. The hash of a file without one in its name is recorded then;
    what is downloaded later must have the same.

    Args:
        name (str): A name of :data:`~hardnet_mm.checkpoints.published.WEIGHTS`, with or without ``hardnet://``.

    Returns:
        Path: A file that is there; what it holds is for the loader to check.

    Raises:
        InputError: If the name is unknown, ``HARDNET_WEIGHTS_MIRROR`` is no address, or what was
            downloaded is not a whole checkpoint.
        FileNotFoundError: If ``HARDNET_WEIGHTS`` names no folder.
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
            # A process that waited still holds the old lock; a newer one may then download too,
            # into a folder of its own, and put the same file in place.
            with suppress(OSError):
                lock.unlink()
    return path


def _addresses(weights):
    """Return where a file is looked for, in this order."""
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
    """Download from the first address that has the file, and tell of all where none has."""
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
        'training starts without it by --cfg-options load_from=None'
    ) from errors[-1]


def download_once(address: str, folder: str | None = None) -> Path:
    """Return the path of the file at any address, downloaded if it is not at hand.

    Args:
        address (str): Its last part is the file's name.
        folder (str, optional): Where it is kept. Defaults to None: PyTorch's hub cache.

    Raises:
        ConnectionError: If it cannot be downloaded.
        InputError: If it is no whole checkpoint.
    """
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    if not name:
        raise InputError(f'{address} names no file')
    path = Path(folder or Path(torch.hub.get_dir(), 'checkpoints'), name)
    if not path.is_file():
        with written_whole(path) as new:
            _fetch_whole(address, new)
            try:
                check_checkpoint(str(new))
            except InputError as error:
                raise InputError(str(error).replace(str(new), address)) from error
    return path


def _download(address, path):
    """Put the file at an address at a path, if it is a checkpoint; otherwise leave nothing."""
    with written_whole(path) as new:  # its name carries the hash
        _fetch_whole(address, new)
        try:
            load_original(new, place=path)
        except InputError as error:
            raise InputError(str(error).replace(str(new), address)) from error
        record_hash(new, path)  # before the file is there: what comes later is compared


def _fetch_whole(address, path):
    """Write what an address gives to a path, all that it promised."""
    try:
        size = _fetch(address, path)
    except (OSError, HTTPException) as error:
        raise ConnectionError(f'{address} could not be downloaded ({error})') from error
    if size is not None and path.stat().st_size < size:
        raise ConnectionError(
            f'{address} broke off after {path.stat().st_size} of {size} bytes, try again'
        )


def _fetch(address, path):
    """Write what an address gives to a path, and return the size that was promised, or None."""
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
    """Read an original's file as a checkpoint of mmengine, its hash checked if it is known.

    Args:
        path (str | Path): The file.
        map_location (str | torch.device): As of ``torch.load``. Defaults to 'cpu'.
        place (Path, optional): Where it is to lie, if it is not there yet. Defaults to None.

    Raises:
        InputError: If it is damaged, or no original's.
    """
    check_checkpoint(str(path))  # what is cut off has another hash, too, but this says why
    check_hash(path, place)
    return as_checkpoint(load_weights(str(path), map_location))


def as_checkpoint(original: dict) -> dict:
    """Return an original's checkpoint as one of mmengine, whose hooks expect these keys."""
    return dict(meta={}, state_dict=convert_official(original))
