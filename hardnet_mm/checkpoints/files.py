"""Checkpoint files, checked before anything is read from them, and read without running code."""

import collections
import hashlib
import os.path as osp
import pickle
import re
import types
import zipfile

import torch
from mmengine.utils import digit_version

from ..utils.errors import InputError
from .safe_types import checkpoint_types


def check_checkpoint(path: str) -> None:
    """Refuse a local file that is no whole checkpoint, before anything else costs time.

    Addresses (``https://``, ``hardnet://``) are left to their loaders.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is cut off, is a web page, or is no file of ``torch.save``.
    """
    if '://' in path:
        return
    path = osp.expanduser(path)
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no checkpoint {path}')
    with open(path, 'rb') as file:
        start = file.read(64)
    if start.lstrip().startswith(b'<'):
        raise InputError(f'{path} is a web page, no checkpoint')
    # torch.save writes a zip archive, whose directory is at its end; before 1.6, a plain pickle.
    if not zipfile.is_zipfile(path):
        if start.startswith(b'\x80'):
            return
        raise InputError(f'{path} is {"cut off" if start.startswith(b"PK") else "no checkpoint"}')
    with zipfile.ZipFile(path) as archive:
        if not any(name.endswith('data.pkl') for name in archive.namelist()):
            raise InputError(f'{path} is a zip archive, but no checkpoint of torch.save')


def check_hash(path: str) -> None:
    """Compare a file with the hash in its name, as PyTorch's hub has it: ``name-0123abcd.pth``.

    Raises:
        InputError: If the file's SHA-256 does not begin so.
    """
    named = re.search(r'-([0-9a-f]{8,})\.', osp.basename(path))
    if named is None:
        return
    with open(osp.expanduser(path), 'rb') as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if not found.startswith(named[1]):
        raise InputError(
            f'{path} has the SHA-256 {found[: len(named[1])]}..., but its name promises '
            f'{named[1]}: it was damaged or replaced'
        )


def load_weights(path: str, map_location: str | torch.device = 'cpu') -> dict:
    """Read a foreign checkpoint, tensors and plain values only; no code in it is run.

    Args:
        path (str): A local file.
        map_location (str | torch.device): As of ``torch.load``. Defaults to 'cpu'.

    Returns:
        dict: What the file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is damaged, is no checkpoint, or wants to run code.
    """
    check_checkpoint(path)
    path = osp.expanduser(path)
    try:
        if digit_version(torch.__version__) < digit_version('2.6'):
            return torch.load(path, map_location, pickle_module=_PICKLE, weights_only=False)
        allowed = torch.serialization.get_safe_globals()
        try:
            with torch.serialization.safe_globals(checkpoint_types()):
                return torch.load(path, map_location, weights_only=True)
        finally:  # leaving safe_globals forgets what was allowed before, too
            torch.serialization.add_safe_globals(allowed)
    except pickle.UnpicklingError as error:
        name = re.search(r'(?:GLOBAL|[Uu]nsupported global:) ([\w.]+)', str(error))
        if name is None:
            raise InputError(f'{path} is damaged') from error
        raise InputError(
            f'{path} asks to run {name[1]}, which weights do not need: refused'
        ) from error
    except (EOFError, RuntimeError) as error:
        raise InputError(f'{path} is cut off or damaged') from error


class _Unpickler(pickle.Unpickler):
    """weights_only of PyTorch before 2.6, which cannot be told of NumPy's scalars.

    FC-HarDNet's published file holds one, its best IoU.
    """

    allowed = {
        ('collections', 'OrderedDict'): collections.OrderedDict,
        ('_codecs', 'encode'): lambda text, encoding: text.encode(encoding),
        **{
            ('torch._utils', name): getattr(torch._utils, name)
            for name in ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_parameter')
        },
    }

    def find_class(self, module, name):
        """Return what a pickle names, if weights need it."""
        for entry in checkpoint_types():
            value, full_name = entry if isinstance(entry, tuple) else (entry, None)
            if (full_name or f'{value.__module__}.{value.__qualname__}') == f'{module}.{name}':
                return value
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f'unsupported global: {module}.{name}')
        return self.allowed[module, name]


# What torch.load asks of a pickle module.
_PICKLE = types.SimpleNamespace(
    __name__='pickle',
    Unpickler=_Unpickler,
    load=lambda file, **kwargs: _Unpickler(file, **kwargs).load(),
)
