"""A HarDNet block whose layers read their links where they are, without concatenations."""

import torch

from . import kernels, tuning
from .linked_conv import LinkedConv
from . import padded_maps
from .padded_maps import PaddedMaps, round_up

BLOCK_ROWS, BLOCK_CHANNELS = 64, 64  # of the pool's programs


class LinkedBlock:
    """The layers of a block, and the transition after it, on padded maps.

    Args:
        layers (list[FusedConv]): The block's layers.
        links (list[list[int]]): Numbers of the features that each reads, as the block has them.
        out_layers (list[int]): Numbers of the features that the block puts out.
        transition (FusedConv, optional): What reads the output. Defaults to None: the features are
            concatenated.
    """

    def __init__(self, layers, links, out_layers, transition=None):
        self.halo = layers[0].dilation[0]
        self.in_channels = layers[0].weight.shape[1]
        self.widths = [self.in_channels] + [len(layer.weight) for layer in layers]
        self.starts, end = [], 0
        for width in self.widths:
            self.starts.append(end)
            end += round_up(width, padded_maps.SLOT)
        self.channels = end
        self.out_layers = out_layers
        self.convs = [self._conv(layer, reads) for layer, reads in zip(layers, links)]
        self.transition = transition and self._conv(transition, out_layers)

    def _conv(self, layer, links):
        places = [(self.starts[link], self.widths[link]) for link in links]
        return LinkedConv(layer.weight, layer.bias, layer.act, places, slot=padded_maps.SLOT)

    def maps(self, shape, like):
        """Return padded maps for a block's features: of images, height and width."""
        return PaddedMaps(shape, self.halo, self.channels, like)

    def compute(self, maps, out=None):
        """Compute all layers; the input is in its place.

        Args:
            maps (PaddedMaps): Of :meth:`maps`.
            out (Tensor, optional): Where a transition writes to, among the padded maps of the next
                block. Defaults to None: a new tensor.

        Returns:
            Tensor: ``(N, C, H, W)``: the transition's output, or the block's. None with ``out``.
        """
        for layer, conv in enumerate(self.convs, start=1):
            place = maps.buffer[:, self.starts[layer] :]
            conv(maps, place, True, tuning.blocks_for(conv, maps, place, True))
        if self.transition is None:
            return torch.cat([self.feature(maps, layer) for layer in self.out_layers], dim=1)
        conv = self.transition
        if out is not None:
            conv(maps, out, True, tuning.blocks_for(conv, maps, out, True))
            return None
        images, height, width = maps.shape
        out = maps.buffer.new_empty(images * height * width, conv.out_channels)
        conv(maps, out, False, tuning.blocks_for(conv, maps, out, False))
        out = out.view(images, height, width, -1).permute(0, 3, 1, 2)
        return out[:, : len(conv.weight)]

    def feature(self, maps, layer):
        """Return a view of a layer's feature, ``(N, C, H, W)``."""
        return maps.channels(self.starts[layer], self.widths[layer])


def pool_into(maps, channels, x, kernel=1, stride=1, padding=0, average=False):
    """Pool ``(N, C, H, W)``, channels-last, into the first ``channels`` of padded maps.

    With the defaults, it is a copy.
    """
    images, height, width = maps.shape
    grid = (-(-maps.rows // BLOCK_ROWS), -(-channels // BLOCK_CHANNELS))
    numbers = (x.shape[1], x.stride(0), x.stride(2), x.stride(3))
    group = 8 if all(number % 8 == 0 for number in numbers) and x.data_ptr() % 16 == 0 else 1
    kernels.pool[grid](
        x,
        maps.buffer,
        *(number // group for number in numbers),
        *x.shape[2:],
        maps.rows,
        channels // 8,
        maps.buffer.stride(0) // 8,
        images,
        height,
        width,
        maps.halo,
        KERNEL=kernel,
        STRIDE=stride,
        PADDING=padding,
        AVERAGE=average,
        GROUP=group,
        BLOCK_ROWS=BLOCK_ROWS,
        BLOCK_CHANNELS=BLOCK_CHANNELS,
    )
