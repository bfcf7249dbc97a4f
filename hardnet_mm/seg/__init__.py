"""What segmentation on HarDNet needs beyond mmseg: name this in ``custom_imports``."""

from .bootstrapped_loss import BootstrappedCrossEntropyLoss
from .fchardnet_head import FCHarDNetHead
from .label_ids import CityscapesLabelIdWriter
from .logit_tta import LogitSegTTAModel
from .transforms import PadBothSides, PillowColorJitter

__all__ = [
    'BootstrappedCrossEntropyLoss',
    'CityscapesLabelIdWriter',
    'FCHarDNetHead',
    'LogitSegTTAModel',
    'PadBothSides',
    'PillowColorJitter',
]
