"""Registers loaders with mmengine for published names and for files of the originals.

Wherever mmengine loads a checkpoint, these also work: a name such as ``hardnet://hardnet68``, the
published address of an original's file, and a local copy of such a file.
"""

import functools
from typing import IO, Any

import torch
from mmengine.runner import CheckpointLoader, load_checkpoint
from mmengine.runner.checkpoint import load_from_http

from ..utils.errors import InputError
from .contents import check_kinds, checked, tensors_of
from .download import as_checkpoint, download_once, find_weights, load_original
from .files import check_checkpoint, load_weights
from .keys import is_official
from .published import SCHEME, WEIGHTS, get_weights


def register_schemes() -> None:
    """Register this module's loaders with mmengine. Calling it again changes nothing."""
    addresses = [address for weights in WEIGHTS.values() for address in weights.addresses]
    CheckpointLoader.register_scheme(SCHEME, load_by_name, force=True)
    CheckpointLoader.register_scheme(addresses, load_by_address, force=True)
    # a user's copy of an original's file, for instance of `mim download`, or one on a mirror
    CheckpointLoader.register_scheme('', _converting(load_local), force=True)
    CheckpointLoader.register_scheme(
        ('http://', 'https://'), _converting(load_from_http), force=True
    )


def load_by_name(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load published weights by name, with this plugin's keys.

    Args:
        filename (str): ``hardnet://NAME``, with a name of :data:`WEIGHTS`.
        map_location (str | torch.device, optional): As of ``torch.load``. Defaults to None.

    Returns:
        dict: A checkpoint in mmengine's form. Its ``state_dict`` is that of
        :func:`~hardnet_mm.checkpoints.convert_official`.

    Raises:
        InputError: If the name is unknown, or the file is not the published one.
        FileNotFoundError: If ``HARDNET_WEIGHTS`` names a folder that does not exist.
        ConnectionError: If this machine does not have the file and cannot download it.
    """
    path = find_weights(filename)
    try:
        return load_original(path, map_location)
    except InputError as error:
        raise InputError(
            f'{error}; where there is a network, delete that file, and it is downloaded again; '
            f'elsewhere, put a copy of {get_weights(filename).address} in its place'
        ) from error


def load_by_address(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load published weights by their address; otherwise the same as :func:`load_by_name`."""
    name = next(name for name, weights in WEIGHTS.items() if filename in weights.addresses)
    return load_by_name(SCHEME + name, map_location)


def load_local(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load a local file: one of Paddle's as plain tensors, any other as one of mmengine's.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is damaged, is no checkpoint, or wants to run code.
    """
    return read_for_mmengine(str(filename), map_location)


def read_for_mmengine(
    file: str | IO[bytes], map_location: str | torch.device | None = None, *_: Any
) -> dict:
    """Read a checkpoint in the place of ``torch.load``, within mmengine; no code in it is run.

    Raises:
        InputError: If it is damaged, is no checkpoint, or wants to run code.
    """
    return checked(str(file), load_weights(file, map_location))


def read_address_for_mmengine(
    url: str,
    model_dir: str | None = None,
    map_location: str | torch.device | None = None,
    progress: bool = True,
) -> dict:
    """Do the same in the place of ``torch.hub.load_state_dict_from_url``.

    Args:
        url (str): The address.
        model_dir (str, optional): Where the file is kept. Defaults to None: PyTorch's hub cache.
        map_location (str | torch.device, optional): As of ``torch.load``.
        progress (bool): Unused; the progress is shown.

    Raises:
        ConnectionError: If it is not at hand and cannot be downloaded.
        InputError: If it is damaged, is no checkpoint, or wants to run code.
    """
    return read_for_mmengine(str(download_once(url, model_dir)), map_location)


def load_whole(model: torch.nn.Module, path: str) -> dict:
    """Load a checkpoint into a model, and require every tensor of both.

    Args:
        model (nn.Module): The model, changed in place.
        path (str): A file, an address, or ``hardnet://NAME``.

    Returns:
        dict: The checkpoint's ``meta``, empty if it has none.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is damaged, or belongs to another model.
    """
    check_checkpoint(path)
    try:
        checkpoint = load_checkpoint(model, path, map_location='cpu', strict=True, logger='silent')
    except RuntimeError as error:
        raise InputError(f'{path} is not one of this config: {error}') from error
    check_kinds(tensors_of(checkpoint), model.state_dict())
    return checkpoint.get('meta') or {}


def _converting(loader):
    """Return a loader that converts checkpoints of the originals to this plugin's keys."""

    @functools.wraps(loader)
    def load(filename, map_location=None):
        checkpoint = loader(filename, map_location)
        return as_checkpoint(checkpoint) if is_official(checkpoint) else checkpoint

    return load
