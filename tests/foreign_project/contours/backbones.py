"""Two backbones, one of which needs what is not installed."""

from mmengine.model import BaseModule
from torch import nn

from .registry import MODELS


@MODELS.register_module()
class Ladder(BaseModule):
    """Feature maps of 8 and 16 channels at strides 4 and 8, of images of one size."""

    feat_channels = (8, 16)

    def __init__(self, size):
        super().__init__()
        self.size = size
        self.first = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.second = nn.Conv2d(8, 16, 3, stride=2, padding=1)

    def forward(self, x):
        assert x.shape[-1] == self.size, f'images must be {self.size} pixels wide'
        first = self.first(x)
        return first, self.second(first)


@MODELS.register_module()
class CompiledLadder(Ladder):
    """The same by an operator that is not there."""

    def __init__(self, size):
        raise ImportError('ladder_ops is not installed')
