"""Feature maps with zeros around them, of all layers of a block side by side."""

import torch
from torch import Tensor

# Channels that a feature begins at a multiple of: 64 bytes, or the loads of its windows are slow.
SLOT = 32


def round_up(number, multiple):
    """Return the next multiple, at least the number."""
    return -(-number // multiple) * multiple


class PaddedMaps:
    """Channels-last maps of several features, side by side in one tensor, and zeros around them.

    A row of :attr:`buffer` is a position, and holds every feature's channels there. Positions go
    line by line. Each line of an image ends with ``halo`` positions of zeros, which stand to the
    left of the next line as well; each image begins with ``halo`` lines of zeros, which stand below
    the image before it as well, and such lines end the tensor. So what a kernel's tap reads is
    always the same number of rows away.

    Nothing is cleared beforehand: whoever writes a feature writes the zeros around it.

    Args:
        shape (tuple): Images, height and width.
        halo (int): Width of the zeros, the dilation of the convolutions that will read them.
        channels (int): Of all features together, a multiple of 8.
        like (Tensor): A tensor of the type and device wanted.
    """

    def __init__(self, shape: tuple[int, int, int], halo: int, channels: int, like: Tensor) -> None:
        self.shape, self.halo = shape, halo
        images, height, width = shape
        self.rows = (images * (height + halo) + halo) * (width + halo)
        self.buffer = like.new_empty(self.rows, channels)

    def channels(self, first: int, number: int) -> Tensor:
        """Return ``(N, number, H, W)``, a view of some channels without the zeros around them."""
        images, height, width = self.shape
        line, stride = width + self.halo, self.buffer.shape[1]
        return torch.as_strided(
            self.buffer,
            (images, number, height, width),
            ((height + self.halo) * line * stride, 1, line * stride, stride),
            self.halo * line * stride + first,
        )
