"""The convolution of an image, and the stem that begins with it."""

import torch

from . import kernels, padded_maps, tuning
from .linked_conv import ACTIVATIONS, LinkedConv
from .padded_maps import PaddedMaps, round_up

BLOCK_ROWS = 128


class ImageConv:
    """A Conv3x3 of images of a few channels, its activation, and the type it computes in.

    Args:
        layer (FusedConv): The convolution, padded by 1, of stride 1 or 2.
    """

    def __init__(self, layer):
        weight = layer.weight
        self.stride, self.act = layer.stride[0], ACTIVATIONS[type(layer.act)]
        self.kernel, self.in_channels = weight.shape[-1], weight.shape[1]
        self.out_channels = round_up(len(weight), padded_maps.SLOT)
        depth = self.kernel**2 * self.in_channels
        self.depth = max(16, 2 ** (depth - 1).bit_length())
        self.weight = weight.new_zeros(self.out_channels, self.depth)
        self.weight[: len(weight), :depth] = weight.permute(0, 2, 3, 1).flatten(1)
        self.bias = weight.new_zeros(self.out_channels, dtype=torch.float32)
        if layer.bias is not None:
            self.bias[: len(weight)] = layer.bias

    def __call__(self, images, maps):
        """Convolve ``(N, in_channels, H, W)`` of any type and layout into padded maps."""
        out = min(64, 2 ** (self.out_channels - 1).bit_length())
        number, height, width = maps.shape
        grid = (-(-maps.rows // BLOCK_ROWS), -(-self.out_channels // out))
        kernels.image_conv[grid](
            images,
            self.weight,
            self.bias,
            maps.buffer,
            *images.stride(),
            *images.shape[2:],
            maps.rows,
            self.out_channels // 8,
            maps.buffer.stride(0) // 8,
            number,
            height,
            width,
            maps.halo,
            CHANNELS=self.in_channels,
            KERNEL=self.kernel,
            STRIDE=self.stride,
            ACT=self.act,
            DEPTH=self.depth,
            BLOCK_ROWS=BLOCK_ROWS,
            BLOCK_OUT=out,
        )


class LinkedStem:
    """A stem's convolutions, the first of them the image's.

    Args:
        layers (list[FusedConv]): The convolutions, padded so that only their strides shrink maps.
    """

    def __init__(self, layers):
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
                padded_maps.SLOT,
            )
            for layer in rest
        ]

    def __call__(self, images, store):
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
