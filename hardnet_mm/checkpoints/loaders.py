"""Registers loaders with mmengine for published names and for files of the originals.

Wherever mmengine loads a checkpoint, these also work: a name such as ``hardnet://hardnet68``, the
published address of an original's file, and a local copy of such a file.
"""

import functools

import torch
from mmengine.runner import CheckpointLoader, load_checkpoint
from mmengine.runner.checkpoint import load_from_http, load_from_local

from ..utils.errors import InputError
from .download import as_checkpoint
from .files import FOREIGN_SUFFIXES, check_checkpoint, load_weights
from .keys import is_official
from .published import SCHEME, WEIGHTS
from .reading import download_once, load_by_address, load_by_name


def register_schemes() -> None:
    """Register this module's loaders with mmengine. Calling it again changes nothing."""
    addresses = [address for weights in WEIGHTS.values() for address in weights.addresses]
    CheckpointLoader.register_scheme(SCHEME, load_by_name, force=True)
    CheckpointLoader.register_scheme(addresses, load_by_address, force=True)
    # a user's copy of an original's file, for instance of `mim download`, or one on a mirror
    CheckpointLoader.register_scheme('', _converting(load_local), force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), _converting(load_by_http), force=True)


def load_local(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load a local file, those of Paddle (``.pdparams``) and of safetensors included.

    Args:
        filename (str): Path of the file.
        map_location (str | torch.device, optional): As of ``torch.load``. Defaults to None.

    Returns:
        dict: The file's content, with its own keys.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If a file of Paddle's or of safetensors is damaged.
    """
    if str(filename).endswith(FOREIGN_SUFFIXES):
        return load_weights(str(filename), map_location)
    return load_from_local(filename, map_location)


def load_by_http(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load the file at an address: as mmengine does, but for files of Paddle and of safetensors."""
    if filename.endswith(FOREIGN_SUFFIXES):
        return load_weights(str(download_once(filename)), map_location)
    return load_from_http(filename, map_location)


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
    return checkpoint.get('meta') or {}


def _converting(loader):
    """Return a loader that converts checkpoints of the originals to this plugin's keys."""

    @functools.wraps(loader)
    def load(filename, map_location=None):
        checkpoint = loader(filename, map_location)
        return as_checkpoint(checkpoint) if is_official(checkpoint) else checkpoint

    return load
