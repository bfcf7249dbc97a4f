"""What an installed stack lacks, made up for when hardnet_mm is imported.

Three things, each left alone where the stack has it:

- mmcv installed without compiled operators: ``mmcv._ext`` gets a stand-in, see :mod:`mmcv_ops`;
- mmengine 0.10.7 cannot read its own checkpoints on torch 2.6 and newer, whose ``torch.load``
  refuses types that it was not told of: the types are allowed, the refusal stays;
- mmengine resolves ``_base_ = 'package::config.py'`` for OpenMMLab's packages only:
  ``hardnet_mm::`` is added.
"""

import importlib.util
import os.path as osp
import sys

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer


def apply():
    """Make up for everything named above; calling it again changes nothing."""
    if not _found('mmcv._ext') and _found('torchvision'):
        from .mmcv_ops import make_extension

        sys.modules['mmcv._ext'] = make_extension()
    if hasattr(torch.serialization, 'add_safe_globals'):
        torch.serialization.add_safe_globals(checkpoint_types())
    if Config._get_cfg_path is not _get_cfg_path:
        Config._get_cfg_path = staticmethod(_get_cfg_path)


def _found(module):
    return importlib.util.find_spec(module) is not None


def checkpoint_types():
    """Return the types that mmengine's own checkpoints hold besides tensors and built-ins.

    The logger's scalars are HistoryBuffers around NumPy arrays, which NumPy pickles through a
    function whose module was renamed in NumPy 2, and by the class of each dtype.
    """
    core = np._core if hasattr(np, '_core') else np.core
    dtypes = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, bool)}
    return [HistoryBuffer, core.multiarray._reconstruct, np.ndarray, np.dtype, *dtypes]


_toolbox_cfg_path = Config._get_cfg_path


def _get_cfg_path(cfg_path, filename):
    package, separator, name = cfg_path.partition('::')
    if package != __package__ or not separator:
        return _toolbox_cfg_path(cfg_path, filename)
    # No scope, unlike another package's config: ours state their toolbox as default_scope.
    path = osp.join(osp.dirname(__file__), '.mim', 'configs', name)
    if not osp.isfile(path):
        raise FileNotFoundError(f'{cfg_path}: hardnet_mm has no config {path}')
    return path, None
