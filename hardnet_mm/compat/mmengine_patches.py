"""What an installed stack lacks, made up for when hardnet_mm is imported.

Three things, each left alone where the stack has it:

- mmcv installed without compiled operators: ``mmcv._ext`` gets a stand-in, see :mod:`mmcv_ops`;
- mmengine 0.10.7 cannot read its own checkpoints on torch 2.6 and newer, whose ``torch.load``
  refuses types that it was not told of: the types are allowed, the refusal stays;
- mmengine looks for ``mmseg::`` in a package named mmsegmentation, which the toolbox's maintained
  continuation is not.
"""

import importlib.util
import sys
from pickle import UnpicklingError

import numpy as np
import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint
from mmengine.utils import digit_version, is_installed


def apply():
    """Make up for everything named above; calling it again changes nothing."""
    if not _found('mmcv._ext') and _found('torchvision'):
        from .mmcv_operators import make_extension

        sys.modules['mmcv._ext'] = make_extension()
    has_own_list = hasattr(checkpoint, 'get_torch_safe_globals')  # mmengine's continuation
    if digit_version(torch.__version__) >= digit_version('2.6') and not has_own_list:
        torch.serialization.add_safe_globals(checkpoint_types())
    if not is_installed('mmsegmentation') and is_installed('onedl-mmsegmentation'):
        MODULE2PACKAGE['mmseg'] = 'onedl-mmsegmentation'


def _found(module):
    return importlib.util.find_spec(module) is not None


def checkpoint_types():
    """Return what mmengine's own checkpoints hold besides tensors and built-ins.

    A checkpoint's log is HistoryBuffers around NumPy arrays and scalars. They name NumPy's
    functions, of NumPy 1 or 2 depending on where it was written, and each dtype by its class.
    """
    # NumPy 1.26 has a numpy._core, too, but nothing is in it.
    core = np._core if digit_version(np.__version__) >= digit_version('2.0') else np.core
    numpy_functions = [
        (getattr(core.multiarray, name), f'numpy.{package}.multiarray.{name}')
        for name in ('_reconstruct', 'scalar')
        for package in ('core', '_core')
    ]
    dtypes = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, bool)}
    method = (_history_buffer_method, 'builtins.getattr')
    return [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *numpy_functions, method]


def _history_buffer_method(owner, name):
    """Stand in for getattr, by which a HistoryBuffer names its statistics, and for nothing else."""
    if owner is not HistoryBuffer:
        raise UnpicklingError(f'a checkpoint may name methods of HistoryBuffer only, not {owner}')
    return getattr(owner, name)
