"""Imported first by modules that need a toolbox: raises an error that says what to install."""

from .utils.installed import MISSING

if MISSING:
    raise ImportError(
        f'this part of hardnet_mm needs {MISSING[0]}, which is not installed: a toolbox of '
        "OpenMMLab brings it, or pip install 'hardnet_mm[onedl]' (the maintained continuation), or "
        "'hardnet_mm[openmmlab]' (OpenMMLab's last releases)",
        name=MISSING[0],
    )
