from .hardnet import HarDNet
from .hardnet_block import HarDBlock

__all__ = ['HarDBlock', 'HarDNet']
