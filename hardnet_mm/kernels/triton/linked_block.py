"""A HarDNet block whose layers read their links in place, without concatenations."""

from typing import Any

import torch
from torch import Tensor

from . import tuning
from .linked_conv import LinkedConv
from .padded_maps import SLOT, PaddedMaps, round_up


class LinkedBlock:
    """The layers of a block, and the transition after it, on padded maps.

    Args:
        layers (list[FusedConv]): The block's layers.
        links (list[list[int]]): Indices of the features that each layer reads.
        out_layers (list[int]): Indices of the features in the block's output.
        transition (FusedConv, optional): The convolution that reads the output. Defaults to None:
            the output is the concatenation.
    """

    def __init__(
        self, layers: list, links: list[list[int]], out_layers: list[int], transition: Any = None
    ) -> None:
        self.halo = layers[0].dilation[0]
        self.in_channels = layers[0].weight.shape[1]
        self.widths = [self.in_channels] + [len(layer.weight) for layer in layers]
        self.starts, end = [], 0
        for width in self.widths:
            self.starts.append(end)
            end += round_up(width, SLOT)
        self.channels = end
        self.out_layers = out_layers
        self.convs = [self._conv(layer, reads) for layer, reads in zip(layers, links)]
        self.transition = transition and self._conv(transition, out_layers)

    def _conv(self, layer, links):
        places = [(self.starts[link], self.widths[link]) for link in links]
        return LinkedConv(layer.weight, layer.bias, layer.act, places, slot=SLOT)

    def maps(self, shape: tuple, like: Tensor) -> PaddedMaps:
        """Return padded maps for the block's features; ``shape`` is images, height and width."""
        return PaddedMaps(shape, self.halo, self.channels, like)

    def compute(self, maps: PaddedMaps, out: Tensor | None = None) -> Tensor | None:
        """Compute all layers. The block's input must already be in the padded maps.

        Args:
            maps (PaddedMaps): Padded maps from :meth:`maps`.
            out (Tensor, optional): Output tensor of the transition, a part of the next block's
                padded maps. Defaults to None: a new tensor.

        Returns:
            Tensor: The output of the transition or of the block, ``(N, C, H, W)``; None if ``out``
            is given.
        """
        for layer, conv in enumerate(self.convs, start=1):
            place = maps.buffer[:, self.starts[layer] :]
            conv(maps, place, True, tuning.blocks_for(conv, maps, place, True))
        if self.transition is None:
            return self.output(maps)
        conv = self.transition
        if out is not None:
            conv(maps, out, True, tuning.blocks_for(conv, maps, out, True))
            return None
        images, height, width = maps.shape
        out = maps.buffer.new_empty(images * height * width, conv.out_channels)
        conv(maps, out, False, tuning.blocks_for(conv, maps, out, False))
        out = out.view(images, height, width, -1).permute(0, 3, 1, 2)
        return out[:, : len(conv.weight)]

    def output(self, maps: PaddedMaps) -> Tensor:
        """Return the block's output, ``(N, C, H, W)``."""
        features = [maps.channels(self.starts[n], self.widths[n]) for n in self.out_layers]
        return torch.cat(features, dim=1)
