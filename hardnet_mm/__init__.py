"""HarDNet for OpenMMLab: importing this package registers the backbone in every toolbox."""

from . import compatibility
from .backbones import HarDNet

__version__ = '0.1.0'
__all__ = ['HarDNet', '__version__']

compatibility.apply()
