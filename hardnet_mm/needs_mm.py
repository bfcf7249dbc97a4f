"""Imported first by what works with a toolbox: it says what to install where there is none."""

from .utils.installed import MISSING

if MISSING:
    raise ImportError(
        f'this part of hardnet_mm needs {MISSING[0]}, which is not installed: a toolbox of '
        "OpenMMLab brings it, or pip install 'hardnet_mm[onedl]' (the maintained continuation), or "
        "'hardnet_mm[openmmlab]' (OpenMMLab's last releases)",
        name=MISSING[0],
    )
