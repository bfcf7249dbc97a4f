"""HarDNet for OpenMMLab: importing this package makes it known to every toolbox.

Where mmcv and mmengine are not installed, it is HarDNet for PyTorch.
"""

from . import checkpoints, deploy, training  # noqa: F401, some register by being here
from .backbones import HarDNet
from .standalone import create_model
from .utils.installed import HAS_MM

__version__ = '0.2.0.dev0'
__all__ = ['HarDNet', '__version__', 'create_model']

if HAS_MM:
    from . import compat

    compat.apply()
