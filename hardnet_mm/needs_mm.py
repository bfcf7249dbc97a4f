"""Imported first by modules that need a toolbox: raises an error that says what to install."""

from .utils.installed import MISSING, STACKS

if MISSING:
    raise ImportError(
        f'this part of hardnet_mm needs {MISSING[0]}, which is not installed: a toolbox of '
        f'OpenMMLab brings it, or {STACKS}',
        name=MISSING[0],
    )
