"""Detection with HarDNet, as additions to mmdet: name this module in ``custom_imports``."""

from .. import needs_mm  # noqa: F401, says what to install
from .bridge import Bridge
from .centernet_head import CTHarDNetHead
from .centernet_neck import CTHarDNetNeck
from .centernet_transforms import CTColorJitter, LoadOptionalMasks, RandomScaleShift, VisibleBoxes
from .centernet_tta import CTFlipTTAModel
from .coco_classes import ClassesFromCOCOHook
from .rfb import RFB, RFBS, ReceptiveFieldBlock
from .rfb_neck import RFBNeck
from .ssd_anchor_generator import ClippedSSDAnchorGenerator
from .ssd_head import HarDNetSSDHead
from .ssd_neck import HarDNetSSDNeck
from .transforms import (
    AugmentOrKeep,
    InclusiveBoxes,
    SSDColorDistortion,
    SSDCrop,
    SSDExpand,
    TrainIgnoredBoxes,
)

__all__ = [
    'AugmentOrKeep',
    'Bridge',
    'CTColorJitter',
    'CTFlipTTAModel',
    'CTHarDNetHead',
    'CTHarDNetNeck',
    'ClassesFromCOCOHook',
    'ClippedSSDAnchorGenerator',
    'HarDNetSSDHead',
    'HarDNetSSDNeck',
    'InclusiveBoxes',
    'LoadOptionalMasks',
    'RFB',
    'RFBNeck',
    'RFBS',
    'RandomScaleShift',
    'ReceptiveFieldBlock',
    'SSDColorDistortion',
    'SSDCrop',
    'SSDExpand',
    'TrainIgnoredBoxes',
    'VisibleBoxes',
]
