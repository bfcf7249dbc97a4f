"""What SSD on HarDNet needs beyond mmdet; a config asks for it by custom_imports."""

from .ssd_anchor_generator import ClippedSSDAnchorGenerator
from .ssd_head import HarDNetSSDHead
from .ssd_neck import HarDNetSSDNeck
from .transforms import SSDColorDistortion

__all__ = [
    'ClippedSSDAnchorGenerator',
    'HarDNetSSDHead',
    'HarDNetSSDNeck',
    'SSDColorDistortion',
]
