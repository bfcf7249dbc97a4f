"""The building blocks of HarDNet: mmcv's and mmengine's, or PyTorch's if those are not installed.

Without mmcv and mmengine the networks, their weights and their inference form work. A module that
needs a toolbox imports :mod:`hardnet_mm.needs_mm` first, whose error says what to install.
"""

from .utils.installed import HAS_MM

if HAS_MM:
    from mmcv.cnn import ConvModule
    from mmcv.cnn.bricks.wrappers import Conv2d
    from mmengine.config import ConfigDict
    from mmengine.logging import HistoryBuffer, print_log
    from mmengine.model import BaseModule, ModuleList, initialize
else:
    from torch.nn import Conv2d, ModuleList

    from .plain import BaseModule, ConfigDict, ConvModule, HistoryBuffer, initialize, print_log

__all__ = [
    'BaseModule',
    'ConfigDict',
    'Conv2d',
    'ConvModule',
    'HistoryBuffer',
    'ModuleList',
    'initialize',
    'print_log',
]
