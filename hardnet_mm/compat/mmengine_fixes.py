"""What mmengine lacks on today's PyTorch and beside the toolboxes' maintained continuation."""

import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.runner import checkpoint
from mmengine.utils import digit_version, is_installed

from ..checkpoints.safe_types import checkpoint_types


def allow_checkpoint_types():
    """Let mmengine 0.10.7 read its own checkpoints on PyTorch 2.6 and newer.

    ``torch.load`` refuses types there that it was not told of. The types are allowed, the refusal
    of others stays.
    """
    has_own_list = hasattr(checkpoint, 'get_torch_safe_globals')  # mmengine's continuation
    if digit_version(torch.__version__) >= digit_version('2.6') and not has_own_list:
        torch.serialization.add_safe_globals(checkpoint_types())


def name_package_of_mmseg():
    """Let ``mmseg::`` in a ``_base_`` be found where the toolbox's continuation is installed.

    mmengine looks for a package named mmsegmentation, which the continuation is not.
    """
    if not is_installed('mmsegmentation') and is_installed('onedl-mmsegmentation'):
        MODULE2PACKAGE['mmseg'] = 'onedl-mmsegmentation'
