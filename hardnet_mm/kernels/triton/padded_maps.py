"""The feature maps of all layers of a block in one zero-padded tensor."""

import torch
from torch import Tensor

# Channels that a feature begins at a multiple of: 64 bytes, or the loads of its windows are slow.
SLOT = 32


def round_up(number, multiple):
    """Return the smallest multiple that is at least the number."""
    return -(-number // multiple) * multiple


class PaddedMaps:
    """Zero-padded, channels-last maps of several features in one tensor.

    A row of :attr:`buffer` is a position, with the channels of all features. Positions are stored
    line by line. Each line of an image ends with ``halo`` zero positions, which are also the left
    padding of the next line. Each image begins with ``halo`` zero lines, which are also the bottom
    padding of the image before it. The tensor ends with such lines. The rows that a kernel's tap
    reads therefore always have the same distance from those of the output.

    The buffer is not cleared: code that writes a feature also writes the zeros around it.

    Args:
        shape (tuple): Number of images, height and width.
        halo (int): Width of the padding, the dilation of the convolutions that will read the maps.
        channels (int): Total channels of all features, a multiple of 8.
        like (Tensor): A tensor with the type and device of the buffer.
    """

    def __init__(self, shape: tuple[int, int, int], halo: int, channels: int, like: Tensor) -> None:
        self.shape, self.halo = shape, halo
        images, height, width = shape
        self.rows = (images * (height + halo) + halo) * (width + halo)
        self.buffer = like.new_empty(self.rows, channels)
        self._arrivals: Tensor | None = None

    def arrivals(self, number: int) -> Tensor:
        """Return at least this many int32 zeros, for a convolution that leaves zeros again.

        The convolutions of the maps share them: clearing them for each would be a kernel more.
        """
        if self._arrivals is None or len(self._arrivals) < number:
            self._arrivals = self.buffer.new_zeros(max(number, 1024), dtype=torch.int32)
        return self._arrivals

    def channels(self, first: int, number: int) -> Tensor:
        """Return ``(N, number, H, W)``, a view of some channels without the padding."""
        images, height, width = self.shape
        line, stride = width + self.halo, self.buffer.shape[1]
        return torch.as_strided(
            self.buffer,
            (images, number, height, width),
            ((height + self.halo) * line * stride, 1, line * stride, stride),
            self.halo * line * stride + first,
        )
