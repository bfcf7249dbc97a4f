"""Segmentation with HarDNet, as additions to mmseg: name this module in ``custom_imports``."""

from .. import needs_mm  # noqa: F401, says what to install
from .binary_dataset import BinaryMaskDataset, PolypDataset
from .binary_metric import BinaryMaskMetric
from .binary_transforms import LoadBinaryMask, PackSoftMask, RandomShiftScaleRotate, ResizeSoftMask
from .bootstrapped_loss import BootstrappedCrossEntropyLoss
from .boundary_loss import LaplacianBoundaryLoss
from .ensemble import SegmentorEnsemble
from .fchardnet_head import FCHarDNetHead
from .label_ids import CityscapesLabelIdWriter
from .lawin_head import LawinHead
from .logit_tta import LogitSegTTAModel
from .mseg_head import HarDNetMSEGHead
from .multi_size_loop import MultiSizeTrainLoop, RandomSizeTrainLoop
from .structure_loss import StructureLoss
from .transforms import PadBothSides, PillowColorJitter

__all__ = [
    'BinaryMaskDataset',
    'BinaryMaskMetric',
    'BootstrappedCrossEntropyLoss',
    'CityscapesLabelIdWriter',
    'FCHarDNetHead',
    'HarDNetMSEGHead',
    'LaplacianBoundaryLoss',
    'LawinHead',
    'LoadBinaryMask',
    'LogitSegTTAModel',
    'MultiSizeTrainLoop',
    'PackSoftMask',
    'PadBothSides',
    'PillowColorJitter',
    'PolypDataset',
    'RandomShiftScaleRotate',
    'RandomSizeTrainLoop',
    'ResizeSoftMask',
    'SegmentorEnsemble',
    'StructureLoss',
]
