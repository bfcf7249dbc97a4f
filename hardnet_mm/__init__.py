"""HarDNet for OpenMMLab: importing this package makes it known to every toolbox."""

try:
    import mmcv  # noqa: F401
    import mmengine  # noqa: F401
except ModuleNotFoundError as error:
    missing = (error.name or '').partition('.')[0]
    if missing not in ('mmcv', 'mmengine'):
        raise
    raise ImportError(
        f'hardnet_mm needs {missing}, which is not installed: a toolbox of OpenMMLab brings it, or '
        "pip install 'hardnet_mm[onedl]' (the maintained continuation), or 'hardnet_mm[openmmlab]' "
        "(OpenMMLab's last releases)",
        name=missing,
    ) from None

from . import checkpoints, compat, deploy, training  # noqa: F401, some register by being here
from .backbones import HarDNet
from .standalone import create_model

__version__ = '0.2.0.dev0'
__all__ = ['HarDNet', '__version__', 'create_model']

compat.apply()
