"""What mmengine lacks on today's PyTorch and beside the toolboxes' maintained continuation."""

import types

import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.runner import checkpoint
from mmengine.utils import digit_version, is_installed

from ..checkpoints.loaders import read_address_for_mmengine, read_for_mmengine
from ..checkpoints.safe_types import checkpoint_types


def allow_checkpoint_types():
    """Let mmengine 0.10.7 read its own checkpoints on PyTorch 2.6 and newer.

    ``torch.load`` refuses types there that it was not told of. The types are allowed, the refusal
    of others stays.
    """
    has_own_list = hasattr(checkpoint, 'get_torch_safe_globals')  # mmengine's continuation
    if digit_version(torch.__version__) >= digit_version('2.6') and not has_own_list:
        torch.serialization.add_safe_globals(checkpoint_types())


class _TorchThatReadsWeights(types.ModuleType):
    """``torch`` as mmengine's checkpoint module sees it, where that calls ``torch.load`` itself."""

    load = staticmethod(read_for_mmengine)

    def __getattr__(self, name):
        return getattr(torch, name)


def read_weights_only():
    """Let no loader of mmengine run code that a checkpoint holds.

    mmengine 0.10.7 reads pickles as they come on PyTorch before 2.6. Its continuation does so
    wherever the safe reader refuses one.
    """
    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = read_for_mmengine
    else:
        checkpoint.torch = _TorchThatReadsWeights('torch')
    checkpoint.load_url = read_address_for_mmengine


def name_package_of_mmseg():
    """Let ``mmseg::`` in a ``_base_`` be found where the toolbox's continuation is installed.

    mmengine looks for a package named mmsegmentation, which the continuation is not.
    """
    if not is_installed('mmsegmentation') and is_installed('onedl-mmsegmentation'):
        MODULE2PACKAGE['mmseg'] = 'onedl-mmsegmentation'
