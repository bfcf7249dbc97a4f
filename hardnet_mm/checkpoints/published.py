"""The published weights by name: ``hardnet://hardnet68``, for every loader of mmengine.

Importing this module registers the scheme, and lets the other ways to the originals' files, their
addresses and their local copies, end in a loaded model as well.
"""

import functools
import os
import tempfile
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_from_http, load_from_local
from rich.console import Console
from rich.progress import Progress

from ..utils.errors import InputError
from . import convert_official, is_official
from .files import check_checkpoint, check_hash, load_weights

SCHEME = 'hardnet://'
HOST = 'https://ping-chao.com/hardnet/'
WEIGHTS = {
    'hardnet39ds': HOST + 'hardnet39ds-0e6c6fa9.pth',
    'hardnet68ds': HOST + 'hardnet68ds-632474d2.pth',
    'hardnet68': HOST + 'hardnet68-5d684880.pth',
    'hardnet85': HOST + 'hardnet85-a28faa00.pth',
    'hardnet68_base_bridge': HOST + 'hardnet68_base_bridge.pth',
    'hardnet85_base': HOST + 'hardnet85_base.pth',
    'ssd512_hardnet68_coco': HOST + 'SSD512_HarDNet68_COCO.pth',
    'ssd512_hardnet85_coco': HOST + 'SSD512_HarDNet85_COCO.pth',
    'centernet_hardnet85_coco': HOST + 'centernet_hardnet85_coco.pth',
    'centernet_hardnet85_coco_608': HOST + 'centernet_hardnet85_coco_608.pth',
    'fchardnet70_cityscapes': HOST + 'hardnet70_cityscapes_model.pkl',
    'hardnet_petite_base': 'https://github.com/PingoLH/FCHarDNet/raw/master/weights/'
    'hardnet_petite_base.pth',
}
FOLDER_VARIABLE = 'HARDNET_WEIGHTS'
TIMEOUT = 30  # seconds without a byte


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_hardnet(filename, map_location=None):
    """Load published weights by name, as this plugin's.

    Args:
        filename (str): ``hardnet://NAME``, a name of :data:`WEIGHTS`.
        map_location (str | torch.device, optional): As of ``torch.load``.

    Returns:
        dict: A checkpoint of mmengine, its ``state_dict`` the whole model's, see
        :func:`convert_official`.

    Raises:
        InputError: If the name is unknown, or the file is not what was published.
        ConnectionError: If the file is not at hand and cannot be downloaded.
    """
    path = find(filename)
    try:
        return _read(path, map_location)
    except InputError as error:
        raise InputError(
            f'{error}; where there is a network, delete that file, and it is downloaded again; '
            f'elsewhere, put a copy of {WEIGHTS[filename.removeprefix(SCHEME)]} in its place'
        ) from error


@CheckpointLoader.register_scheme(prefixes=list(WEIGHTS.values()))
def load_from_published(filename, map_location=None):
    """Load the file at a published address, as :func:`load_from_hardnet` does."""
    name = next(name for name, address in WEIGHTS.items() if address == filename)
    return load_from_hardnet(SCHEME + name, map_location)


def _read(path, map_location='cpu'):
    """Read a published file as a checkpoint of mmengine."""
    check_checkpoint(str(path))  # what is cut off has another hash, too, but this says why
    check_hash(str(path))
    return _as_checkpoint(load_weights(str(path), map_location))


def _as_checkpoint(original):
    """Return an original's checkpoint as one of mmengine, whose hooks expect these keys."""
    return dict(meta={}, state_dict=convert_official(original))


def _converting(loader):
    """Return a loader whose checkpoints of the originals come as this plugin's."""

    @functools.wraps(loader)
    def load(filename, map_location=None):
        checkpoint = loader(filename, map_location)
        return _as_checkpoint(checkpoint) if is_official(checkpoint) else checkpoint

    return load


# A user's copy of an original's file, as `mim download` leaves it, or one on a mirror.
for prefix, loader in (('', load_from_local), (('http://', 'https://'), load_from_http)):
    CheckpointLoader.register_scheme(prefix, _converting(loader), force=True)


def find(name):
    """Return the path of a published file, downloaded if it is not at hand.

    It is looked for in the folder that the environment variable ``HARDNET_WEIGHTS`` names, and in
    PyTorch's hub cache, where it is downloaded to once, whole, and by one process at a time.

    Args:
        name (str): A name of :data:`WEIGHTS`, with or without ``hardnet://``.

    Returns:
        Path: A file that is there; what it holds is for the loader to check.

    Raises:
        InputError: If the name is unknown, or what was downloaded is not a whole checkpoint.
        FileNotFoundError: If ``HARDNET_WEIGHTS`` names no folder.
        ConnectionError: If the file cannot be downloaded.
    """
    name = name.removeprefix(SCHEME)
    if name not in WEIGHTS:
        raise InputError(f'no published weights {name!r}: allowed are {list(WEIGHTS)}')
    address = WEIGHTS[name]
    file = address.rpartition('/')[2]
    if folder := os.environ.get(FOLDER_VARIABLE):
        folder = Path(folder).expanduser()
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
                _download(address, path)
        finally:
            # A process that waited still holds the old lock; a newer one may then download too,
            # into a folder of its own, and put the same file in place.
            with suppress(OSError):
                lock.unlink()
    return path


def _download(address, path):
    """Put the file at an address at a path, if it is a checkpoint; otherwise leave nothing."""
    with tempfile.TemporaryDirectory(prefix='.hardnet-', dir=path.parent) as folder:
        partial = Path(folder, path.name)  # its name carries the hash
        try:
            request = Request(address, headers={'User-Agent': 'hardnet_mm'})
            with urlopen(request, timeout=TIMEOUT) as response, open(partial, 'wb') as target:
                size = response.headers.get('Content-Length')
                size = None if size is None else int(size)
                with Progress(console=Console(stderr=True)) as progress:
                    task = progress.add_task(path.name, total=size)
                    while chunk := response.read(2**20):
                        target.write(chunk)
                        progress.advance(task, len(chunk))
        except (OSError, HTTPException) as error:
            raise ConnectionError(
                f'{address} could not be downloaded ({error}): check the network, or put the file '
                f'into {path.parent} or into a folder that {FOLDER_VARIABLE} names'
            ) from error
        if size is not None and partial.stat().st_size < size:
            raise ConnectionError(
                f'{address} broke off after {partial.stat().st_size} of {size} bytes: try again'
            )
        try:
            _read(partial)
        except InputError as error:
            reason = str(error).replace(str(partial), address)
            raise InputError(f'{reason}; nothing was kept') from error
        os.replace(partial, path)
