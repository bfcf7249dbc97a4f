"""The HarDNet block: a dense block whose links follow the powers of two."""

import torch
from torch import Tensor, nn

from ..foundation import BaseModule, ConvModule, ModuleList


def harmonic_links(layer: int) -> list[int]:
    """Return the earlier layers that a layer reads, nearest first (paper, section 3.2).

    Layer ``l`` reads ``l - 2**n`` for every ``n`` such that ``2**n`` divides ``l``.
    Layer 0 is the block's input. A layer has one link more than its number has factors of two.

    Args:
        layer (int): Number of the layer, from 1.

    Returns:
        list[int]: Numbers of the layers it reads.
    """
    return [layer - 2**n for n in range(layer.bit_length()) if layer % 2**n == 0]


def layer_width(layer: int, growth_rate: int, growth_multiplier: float) -> int:
    """Return a layer's output channels: ``k * m**(links - 1)``, rounded to an even number.

    The power is computed by repeated multiplication, as in the original program, so that the result
    is rounded in the same way.
    """
    width: float = growth_rate
    for _ in harmonic_links(layer)[1:]:
        width *= growth_multiplier
    return int(int(width + 1) / 2) * 2


class HarDBlock(BaseModule):
    """Harmonic dense block (HarDNet, ICCV 2019, section 3.2).

    Every layer is Conv3x3 - norm - activation, or, with ``depthwise``, Conv1x1 - norm - activation
    followed by a depthwise Conv3x3 - norm. The output is the concatenation of all odd layers in
    ascending order, and of the last layer if its number is even. The input is never part of it.

    Args:
        in_channels (int): Channels of the input.
        growth_rate (int): Channels of a layer with one link (``k`` in the paper).
        growth_multiplier (float): Factor of a layer's width for each further link (``m``).
        num_layers (int): Number of layers.
        depthwise (bool): Whether layers are depthwise separable. Defaults to False.
        dilation (int): Dilation of the Conv3x3s. Defaults to 1.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
        act_cfg (dict): Config of the activations. Defaults to ``dict(type='InPlaceReLU6')``.
        init_cfg (dict, optional): Initialization config. Defaults to None.
    """

    def __init__(
        self,
        in_channels: int,
        growth_rate: int,
        growth_multiplier: float,
        num_layers: int,
        depthwise: bool = False,
        dilation: int = 1,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='InPlaceReLU6'),
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.links = [harmonic_links(layer) for layer in range(1, num_layers + 1)]
        widths = [in_channels]
        self.layers = ModuleList()
        for layer, links in enumerate(self.links, start=1):
            widths.append(layer_width(layer, growth_rate, growth_multiplier))
            channels_in = sum(widths[link] for link in links)
            make_layer = depthwise_separable if depthwise else dense_conv
            self.layers.append(make_layer(channels_in, widths[layer], norm_cfg, act_cfg, dilation))
        self.out_layers = [n for n in range(1, num_layers + 1) if n % 2 or n == num_layers]
        self.out_channels = sum(widths[layer] for layer in self.out_layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        features = [x]
        for links, layer in zip(self.links, self.layers):
            features.append(layer(concatenate([features[link] for link in links])))
        return concatenate([features[layer] for layer in self.out_layers])


def concatenate(features):
    """Concatenate ``(N, C_i, H, W)`` along the channels; a single one is passed on uncopied."""
    return features[0] if len(features) == 1 else torch.cat(features, dim=1)


def dense_conv(in_channels, out_channels, norm_cfg, act_cfg, dilation=1):
    """Return Conv3x3 - norm - activation."""
    padding = dict(padding=dilation, dilation=dilation)
    return ConvModule(in_channels, out_channels, 3, **padding, norm_cfg=norm_cfg, act_cfg=act_cfg)


def depthwise_separable(in_channels, out_channels, norm_cfg, act_cfg, dilation=1):
    """Return Conv1x1 - norm - activation, depthwise Conv3x3 - norm (no activation after it)."""
    return nn.Sequential(
        ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg),
        depthwise_conv(out_channels, norm_cfg, dilation=dilation),
    )


def depthwise_conv(channels, norm_cfg, stride=1, dilation=1):
    """Return a depthwise Conv3x3 - norm with 'same' padding."""
    padding = dict(padding=dilation, dilation=dilation, groups=channels)
    return ConvModule(channels, channels, 3, stride, **padding, norm_cfg=norm_cfg, act_cfg=None)
