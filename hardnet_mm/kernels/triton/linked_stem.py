"""A stem whose first convolution reads the images."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from . import tuning
from .image_conv import ImageConv
from .linked_conv import LinkedConv
from .padded_maps import SLOT, PaddedMaps


class LinkedStem:
    """The convolutions of a stem. The first one reads the images in any type and layout.

    Args:
        layers (list[FusedConv]): The convolutions, with 'same' padding.
    """

    def __init__(self, layers: list) -> None:
        first, *rest = layers
        self.first = ImageConv(first)
        self.widths = [len(layer.weight) for layer in layers]
        self.rest = [
            LinkedConv(
                layer.weight,
                layer.bias,
                layer.act,
                [(0, layer.weight.shape[1])],
                layer.stride[0],
                SLOT,
            )
            for layer in rest
        ]

    def __call__(self, images: Tensor, store: Callable[[int, Tensor], Any]) -> Tensor:
        """Map images to the last output ``(N, C, H, W)``; call ``store(index, output)``."""
        shape = _strided(images.shape, self.first.stride)
        like = self.first.weight
        maps = PaddedMaps(shape, 1, self.first.out_channels, like)
        self.first(images, maps)
        store(0, maps.channels(0, self.widths[0]))
        for index, conv in enumerate(self.rest, start=1):
            shape = _strided((maps.shape[0], 0, *maps.shape[1:]), conv.stride)
            geometry = PaddedMaps(shape, 1, conv.out_channels, like)
            last = index == len(self.rest)
            if last:
                out = like.new_empty(shape[0] * shape[1] * shape[2], conv.out_channels)
            else:
                out = geometry.buffer
            blocks = tuning.blocks_for(conv, maps, out, not last, geometry)
            conv(maps, out, not last, blocks, geometry)
            maps = geometry
            if not last:
                store(index, maps.channels(0, self.widths[index]))
        if not self.rest:
            return maps.channels(0, self.widths[0])
        out = out.view(*shape, -1).permute(0, 3, 1, 2)[:, : self.widths[-1]]
        store(len(self.rest), out)
        return out


def _strided(shape, stride):
    return shape[0], -(-shape[2] // stride), -(-shape[3] // stride)
