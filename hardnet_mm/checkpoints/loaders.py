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
from .contents import check_kinds, checked, mismatches, tensors_of
from .download import as_checkpoint, download_once
from .files import check_checkpoint, load_weights
from .keys import is_official
from .published import SCHEME, WEIGHTS
from .reading import load_from_address, load_from_name


def register_schemes() -> None:
    """Register this module's loaders with mmengine. Calling it again changes nothing."""
    addresses = [address for weights in WEIGHTS.values() for address in weights.addresses]
    CheckpointLoader.register_scheme(SCHEME, load_from_name, force=True)
    CheckpointLoader.register_scheme(addresses, load_from_address, force=True)
    # a user's copy of an original's file, for instance of `mim download`, or one on a mirror
    CheckpointLoader.register_scheme('', _converting(load_from_local), force=True)
    CheckpointLoader.register_scheme(
        ('http://', 'https://'), _converting(load_from_http), force=True
    )


def load_from_local(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load a local file: a checkpoint of PyTorch, Paddle or safetensors. No code in it is run.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is damaged, is not a checkpoint, or asks to run code.
    """
    return read_for_mmengine(str(filename), map_location)


def read_for_mmengine(
    file: str | IO[bytes], map_location: str | torch.device | None = None, *_: Any
) -> dict:
    """Replace ``torch.load`` within mmengine: read a checkpoint without running code in it.

    Raises:
        InputError: If it is damaged, is not a checkpoint, or asks to run code.
    """
    return checked(str(file), load_weights(file, map_location))


def read_address_for_mmengine(
    url: str,
    model_dir: str | None = None,
    map_location: str | torch.device | None = None,
    progress: bool = True,
) -> dict:
    """Replace ``torch.hub.load_state_dict_from_url`` within mmengine, likewise without code.

    Args:
        url (str): The address.
        model_dir (str, optional): Folder in which the file is stored. Defaults to None: PyTorch's
            hub cache.
        map_location (str | torch.device, optional): As of ``torch.load``. Defaults to None.
        progress (bool): Not used; progress is always shown.

    Raises:
        ConnectionError: If this machine does not have the file and cannot download it.
        InputError: If it is damaged, is not a checkpoint, or asks to run code.
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
        loaded = tensors_of(CheckpointLoader.load_checkpoint(path, 'cpu', None))
        wanted = model.state_dict()
        wrong = mismatches(loaded, wanted)
        wrong += [f'{key} is missing in the model' for key in loaded if key not in wanted]
        words = (
            f'{len(wrong)} tensors differ, the first: {"; ".join(wrong[:3])}' if wrong else error
        )
        raise InputError(f'{path} is not one of this config: {words}') from error
    check_kinds(tensors_of(checkpoint), model.state_dict())
    return checkpoint.get('meta') or {}


def _converting(loader):
    """Return a loader that converts checkpoints of the originals to this plugin's keys."""

    @functools.wraps(loader)
    def load(filename, map_location=None):
        checkpoint = loader(filename, map_location)
        return as_checkpoint(checkpoint) if is_official(checkpoint) else checkpoint

    return load
