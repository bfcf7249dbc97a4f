"""What segmentation on HarDNet needs beyond mmseg: name this in ``custom_imports``."""

from .bootstrapped_loss import BootstrappedCrossEntropyLoss
from .fchardnet_head import FCHarDNetHead

__all__ = ['BootstrappedCrossEntropyLoss', 'FCHarDNetHead']
