"""Installs mmcv's operators in an environment, for programs that do not import hardnet_mm.

The toolboxes' own scripts need this: they import mmcv.ops before they read a config's
``custom_imports``. A ``.pth`` file in site-packages, which Python reads at every start, adds a
finder of ``mmcv._ext``. Files of other packages are not changed.
"""

import importlib.machinery
import importlib.util
import os
import sysconfig
from pathlib import Path

from ..utils.errors import InputError
from ..utils.files import written_whole
from . import finder

NAME = 'hardnet_mm_operators.pth'


def place():
    """Return the path of the file."""
    return Path(sysconfig.get_path('purelib'), NAME)


def content():
    """Return the content of the file. Python runs its lines that start with ``import``."""
    source = Path(finder.__file__).read_text(encoding='utf-8')
    own = "dict(__name__='hardnet_mm_operators_finder')"  # else it would run in those of site
    return f'import sys; exec({source!a}, {own})\n'


def compiled():
    """Return the file of mmcv's own compiled operators, None if there are none."""
    mmcv = importlib.util.find_spec('mmcv')
    for folder in mmcv.submodule_search_locations:
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = Path(folder, '_ext' + suffix)
            if path.is_file():
                return path
    return None


def install():
    """Write the file, and return a message about what was done.

    Raises:
        InputError: If it cannot be written.
    """
    if compiled():
        return f'nothing to do: mmcv has its own compiled operators, {compiled()}'
    path = place()
    _check_writable(path.parent)
    with written_whole(path) as new:
        new.write_text(content(), encoding='ascii')
    return f"mmcv's operators are computed by PyTorch in this environment from now on: {path}"


def remove():
    """Delete the file, and return a message about what was done.

    Raises:
        InputError: If it cannot be deleted.
    """
    path = place()
    if not path.exists():
        return f'nothing to do: there is no {path}'
    _check_writable(path.parent)
    path.unlink()
    return f'removed {path}'


def _check_writable(folder):
    if not os.access(folder, os.W_OK):
        raise InputError(f'{folder} cannot be written to: is this environment yours?')


def status():
    """Return a message that says where mmcv's operators come from in this environment."""
    path = place()
    if compiled():
        unused = f'; {path} is not used' if path.exists() else ''
        return f'compiled: {compiled()}{unused}'
    if not path.exists():
        return 'not there, but in programs that import hardnet_mm'
    if path.read_text(encoding='ascii') != content():
        return f'{path} is of another version of hardnet_mm: install it again'
    return f'computed by PyTorch: {path}'
