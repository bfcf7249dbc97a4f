"""Checkpoint files, checked before anything is read from them."""

import hashlib
import os.path as osp
import re
import zipfile
from contextlib import nullcontext
from pickle import UnpicklingError

import torch

from .compatibility import checkpoint_types


def check_checkpoint(path):
    """Refuse a local file that is no whole checkpoint, before anything else costs time.

    Addresses (``https://``, ``hardnet://``) are left to their loaders.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is cut off, is a web page, or is no file of ``torch.save``.
    """
    if '://' in path:
        return
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no checkpoint {path}')
    with open(path, 'rb') as file:
        start = file.read(64)
    if start.lstrip().startswith(b'<'):
        raise ValueError(f'{path} is a web page, no checkpoint: download it again')
    # torch.save writes a zip archive, whose directory is at its end; before 1.6, a plain pickle.
    if not zipfile.is_zipfile(path):
        if start.startswith(b'\x80'):
            return
        what = 'cut off' if start.startswith(b'PK') else 'no checkpoint'
        raise ValueError(f'{path} is {what}: download it again')
    with zipfile.ZipFile(path) as archive:
        if not any(name.endswith('data.pkl') for name in archive.namelist()):
            raise ValueError(f'{path} is a zip archive, but no checkpoint of torch.save')


def check_hash(path):
    """Compare a file with the hash in its name, as PyTorch's hub has it: ``name-0123abcd.pth``.

    Raises:
        ValueError: If the file's SHA-256 does not begin so.
    """
    named = re.search(r'-([0-9a-f]{8,})\.', osp.basename(path))
    if named is None:
        return
    with open(path, 'rb') as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if not found.startswith(named[1]):
        raise ValueError(
            f'{path} has the SHA-256 {found[: len(named[1])]}..., but its name promises '
            f'{named[1]}: it was damaged or replaced, download it again'
        )


def load_weights(path, map_location='cpu'):
    """Read a foreign checkpoint, tensors and plain values only; no code in it is run.

    Args:
        path (str): A local file.
        map_location (str | torch.device): As of ``torch.load``. Defaults to 'cpu'.

    Returns:
        dict: What the file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, is no checkpoint, has another hash than its name
            promises, or wants to run code.
    """
    check_checkpoint(path)
    check_hash(path)
    # FC-HarDNet's holds a NumPy scalar, its best IoU. Older PyTorch cannot be told of that type.
    new = hasattr(torch.serialization, 'safe_globals')
    allowed = torch.serialization.safe_globals(checkpoint_types()) if new else nullcontext()
    try:
        with allowed:
            return torch.load(path, map_location=map_location, weights_only=True)
    except UnpicklingError as error:
        name = re.search(r'(?:GLOBAL|[Uu]nsupported (?:global|class)) ([\w.]+)', str(error))
        if name is None:
            raise ValueError(f'{path} is damaged: download it again') from error
        hint = ''
        if name[1].startswith('numpy.') and not new:
            hint = ' (NumPy values are read with torch 2.5 or newer: convert the file there)'
        raise ValueError(
            f'{path} asks to run {name[1]}, which weights do not need: refused{hint}'
        ) from error
    except (EOFError, RuntimeError) as error:
        raise ValueError(f'{path} is cut off or damaged: download it again') from error
