"""A project's own registry with small backbones, as a foreign repository has them."""

import torch
from mmengine.registry import MODELS as ROOT
from mmengine.registry import Registry
from torch import nn

SCOPE = 'tiny_project'
MODELS = Registry('model', parent=ROOT, scope=SCOPE)


class _Backbone(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.settings = settings


@MODELS.register_module()
class Pyramid(_Backbone):
    """Gives zeros of the channels and strides that it is told; takes one size alone if told."""

    def forward(self, images):
        _, depth, height, width = images.shape
        only = self.settings.get('only')
        if only and (height, width) != tuple(only):
            raise AssertionError(f'I take {only}')
        if depth != self.settings.get('image_channels', 3):
            raise ValueError(f'{depth} channels')
        shapes = zip(self.settings['channels'], self.settings['strides'])
        return tuple(
            torch.zeros(1, channels, -(-height // high), -(-width // wide))
            for channels, stride in shapes
            for high, wide in [stride if isinstance(stride, (list, tuple)) else (stride, stride)]
        )


@MODELS.register_module()
class Vector(_Backbone):
    """Gives one vector for each image."""

    def forward(self, images):
        return (torch.zeros(len(images), self.settings['width']),)


@MODELS.register_module()
class BareMap(_Backbone):
    """Gives one feature map, in no tuple."""

    def forward(self, images):
        return images[:, :1, ::4, ::4].repeat(1, 8, 1, 1)


@MODELS.register_module()
class PillarNet(_Backbone):
    """Takes maps of pillars: of the channels that its own convolution has."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3, stride=4, padding=1)

    def forward(self, maps):
        return (self.conv(maps),)


@MODELS.register_module()
class Refusing(_Backbone):
    """Needs what is not installed, and says so by an assertion."""

    def __init__(self):
        raise AssertionError('install sparse')


@MODELS.register_module()
class Masked(_Backbone):
    """Reads a mask that the model around it sets."""

    mask = None

    def forward(self, images):
        return images.new_zeros(self.mask.shape)
