"""The convolution of images."""

from typing import Any

import torch
from torch import Tensor

from . import kernels, launches
from .linked_conv import ACTIVATIONS
from .padded_maps import SLOT, PaddedMaps, round_up

BLOCK_ROWS = 128


class ImageConv:
    """A convolution of images with few channels, and its activation.

    Args:
        layer (FusedConv): The convolution, with 'same' padding.
    """

    def __init__(self, layer: Any) -> None:
        weight = layer.weight
        self.stride, self.act = layer.stride[0], ACTIVATIONS[type(layer.act)]
        self.kernel, self.in_channels = weight.shape[-1], weight.shape[1]
        self.out_channels = round_up(len(weight), SLOT)
        depth = self.kernel**2 * self.in_channels
        self.depth = max(16, 2 ** (depth - 1).bit_length())
        self.weight = weight.new_zeros(self.out_channels, self.depth)
        self.weight[: len(weight), :depth] = weight.permute(0, 2, 3, 1).flatten(1)
        self.bias = weight.new_zeros(self.out_channels, dtype=torch.float32)
        if layer.bias is not None:
            self.bias[: len(weight)] = layer.bias

    def __call__(self, images: Tensor, maps: PaddedMaps) -> None:
        """Convolve ``(N, in_channels, H, W)`` of any type and layout into padded maps."""
        out = min(64, 2 ** (self.out_channels - 1).bit_length())
        grid = (-(-maps.rows // BLOCK_ROWS), -(-self.out_channels // out))
        kernels.image_conv[grid](
            images,
            self.weight,
            self.bias,
            maps.buffer,
            *images.stride(),
            *images.shape[2:],
            maps.rows,
            *maps.shape,
            maps.halo,
            self.out_channels // 8,
            maps.buffer.stride(0) // 8,
            CHANNELS=self.in_channels,
            KERNEL=self.kernel,
            STRIDE=self.stride,
            ACT=self.act,
            DEPTH=self.depth,
            **launches.options(),
            BLOCK_ROWS=BLOCK_ROWS,
            BLOCK_OUT=out,
        )
