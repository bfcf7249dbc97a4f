"""Published weights and the originals' files, for every loader of mmengine.

``hardnet://hardnet68`` is a name. The other ways to the originals' files, their addresses and their
local copies, end in a loaded model as well.
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
    """Register the loaders below with mmengine; calling it again changes nothing."""
    addresses = [address for weights in WEIGHTS.values() for address in weights.addresses]
    CheckpointLoader.register_scheme(SCHEME, load_by_name, force=True)
    CheckpointLoader.register_scheme(addresses, load_by_address, force=True)
    # a user's copy of an original's file, as `mim download` leaves it, or one on a mirror
    CheckpointLoader.register_scheme('', _converting(load_local), force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), _converting(load_by_http), force=True)


def load_local(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load a local file: as mmengine does, but for files of Paddle and of safetensors."""
    if str(filename).endswith(FOREIGN_SUFFIXES):
        return load_weights(str(filename), map_location)
    return load_from_local(filename, map_location)


def load_by_http(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load the file at an address: as mmengine does, but for files of Paddle and of safetensors."""
    if filename.endswith(FOREIGN_SUFFIXES):
        return load_weights(str(download_once(filename)), map_location)
    return load_from_http(filename, map_location)


def load_whole(model: torch.nn.Module, path: str) -> dict:
    """Load into a model the checkpoint that is of it, every tensor.

    Args:
        model (nn.Module): As the checkpoint's config builds it.
        path (str): A file, an address, or ``hardnet://NAME``.

    Returns:
        dict: ``meta`` of the checkpoint, of mmengine's.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is damaged, or of another model.
    """
    check_checkpoint(path)
    try:
        checkpoint = load_checkpoint(model, path, map_location='cpu', strict=True, logger='silent')
    except RuntimeError as error:
        raise InputError(f'{path} is not one of this config: {error}') from error
    return checkpoint.get('meta') or {}


def _converting(loader):
    """Return a loader whose checkpoints of the originals come as this plugin's."""

    @functools.wraps(loader)
    def load(filename, map_location=None):
        checkpoint = loader(filename, map_location)
        return as_checkpoint(checkpoint) if is_official(checkpoint) else checkpoint

    return load
