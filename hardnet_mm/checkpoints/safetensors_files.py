"""Weights in Hugging Face's format safetensors: named tensors and strings, without code.

The strings contain those entries of mmengine's ``meta`` that other libraries can use.
"""

import json
from pathlib import Path

import torch

from ..utils.errors import InputError

SUFFIX = '.safetensors'
DATASET_META = 'dataset_meta'  # the names of the classes, as mmengine's checkpoints have them


def check_tensors(path: str | Path) -> None:
    """Refuse a damaged or truncated file, without reading tensors.

    Raises:
        ImportError: If safetensors is not installed.
        InputError: If the file is damaged or truncated.
    """
    _open(path)


def load_tensors(path: str | Path, map_location: str | torch.device | None = None) -> dict:
    """Read a file as a checkpoint of mmengine.

    Args:
        path (str | Path): A local file.
        map_location (str | torch.device, optional): Device of the tensors. Defaults to None: the
            CPU.

    Returns:
        dict: ``state_dict``, and ``meta``, which has ``dataset_meta`` if the file has it.

    Raises:
        ImportError: If safetensors is not installed.
        InputError: If the file is damaged, or its ``dataset_meta`` is no dict in JSON.
    """
    file = _open(path, str(map_location or 'cpu'))
    strings = file.metadata() or {}
    meta = {}
    if DATASET_META in strings:
        meta[DATASET_META] = _parsed(path, strings[DATASET_META])
    return dict(meta=meta, state_dict={key: file.get_tensor(key) for key in file.keys()})


def _parsed(path, text):
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{path} is damaged: its {DATASET_META} is no JSON: {error}') from error
    if not isinstance(value, dict):
        raise InputError(f'{path} is damaged: its {DATASET_META} is a {type(value).__name__}')
    return value


def save_tensors(path: str | Path, state_dict: dict, meta: dict | None = None) -> None:
    """Write a state dict.

    Args:
        path (str | Path): The file.
        state_dict (dict[str, Tensor]): Tensors. Each is stored contiguously, without sharing.
        meta (dict, optional): ``meta`` of a checkpoint of mmengine. Defaults to None.
    """
    save_file = _package().torch.save_file
    strings = dict(format='pt')  # of PyTorch: transformers asks for it
    dataset_meta = (meta or {}).get(DATASET_META)
    if dataset_meta:
        strings[DATASET_META] = json.dumps(dataset_meta)
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state_dict.items()}
    save_file(tensors, str(path), metadata=strings)


def _open(path, device='cpu'):
    package = _package()
    try:
        return package.safe_open(str(path), 'pt', device=device)
    except package.SafetensorError as error:
        raise InputError(f'{path} is cut off or damaged: {error}') from error


def _package():
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise ImportError(
            "this needs safetensors, which is not installed: pip install 'hardnet_mm[hub]'",
            name='safetensors',
        ) from error
    return safetensors
