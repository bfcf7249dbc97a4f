"""Whether OpenMMLab's foundations are installed, of whichever stack, and how to get a stack."""

from importlib.util import find_spec

MISSING = [name for name in ('mmcv', 'mmengine') if find_spec(name) is None]
HAS_MM = not MISSING
STACKS = (
    "pip install 'hardnet_mm[onedl]' (the maintained continuation), or 'hardnet_mm[openmmlab]' "
    "(OpenMMLab's last releases)"
)
