"""Whether OpenMMLab's foundations are installed, of whichever stack."""

from importlib.util import find_spec

MISSING = [name for name in ('mmcv', 'mmengine') if find_spec(name) is None]
HAS_MM = not MISSING
