from .hardnet import HarDNet
from .hardnet_block import HarDBlock
from .hardnet_v2 import HarDNetV2

__all__ = ['HarDBlock', 'HarDNet', 'HarDNetV2']
