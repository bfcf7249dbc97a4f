"""Reads checkpoints by published name, address or path, with or without mmengine."""

import torch

from ..utils.errors import InputError
from ..utils.installed import HAS_MM
from .contents import checked
from .download import as_checkpoint, download_once, find_weights, load_original
from .files import load_weights
from .keys import is_official
from .published import SCHEME, WEIGHTS, get_weights


def read_checkpoint(name: str, map_location: str | torch.device = 'cpu') -> dict:
    """Read a checkpoint of an original or of this plugin.

    Args:
        name (str): ``hardnet://NAME``, an ``http`` address, or a path. With mmengine, anything that
            it loads.
        map_location (str | torch.device): As of ``torch.load``. Defaults to 'cpu'.

    Returns:
        dict: A checkpoint of mmengine, or a state dict.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the name is unknown, or the file is damaged.
        ConnectionError: If this machine does not have the file and cannot download it.
    """
    if HAS_MM:
        from mmengine.runner import CheckpointLoader

        return CheckpointLoader.load_checkpoint(name, map_location, logger=None)
    if name.startswith(SCHEME):
        return load_from_name(name, map_location)
    if any(name in weights.addresses for weights in WEIGHTS.values()):
        return load_from_address(name, map_location)
    if name.startswith(('http://', 'https://')):
        name = str(download_once(name))
    checkpoint = checked(name, load_weights(name, map_location))
    return as_checkpoint(checkpoint) if is_official(checkpoint) else checkpoint


def load_from_name(filename: str, map_location: str | torch.device | None = None) -> dict:
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


def load_from_address(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Load published weights by their address; otherwise the same as :func:`load_from_name`."""
    name = next(name for name, weights in WEIGHTS.items() if filename in weights.addresses)
    return load_from_name(SCHEME + name, map_location)
