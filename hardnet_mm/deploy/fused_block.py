"""The HarDNet block for inference, without concatenations."""

from typing import Any

import torch
from torch import Tensor, nn

from ..backbones import HarDBlock
from ..kernels.cpu.buffers import MemoryPool, runs_in_pool
from ..kernels.cpu.capabilities import has_onednn_convolutions
from ..kernels.cpu.links_by_source import readers_of, weights_by_source
from .fused_conv import FusedConv
from .linked import by_kernels, can_link, is_linkable
from .packed import Packed


class FusedBlock(nn.Module):
    """A HarDNet block for inference, without concatenations.

    On a CPU it is computed feature by feature, see :mod:`hardnet_mm.kernels.cpu.links_by_source`.
    Measurements showed that this is faster in float32 without depthwise convolutions; in all other
    cases features are concatenated. On a GPU, in float16 or bfloat16, layers read their links in
    place, see :mod:`hardnet_mm.kernels.triton`.

    Args:
        block (HarDBlock): The block, with fused layers.
        pool (MemoryPool): Pool for intermediate tensors.
    """

    def __init__(self, block: HarDBlock, pool: MemoryPool) -> None:
        super().__init__()
        self.links = block.links
        self.layers = block.layers
        self.out_layers = block.out_layers
        self.pool = pool
        self._sources = Packed(_make_sources)
        dilation = self.layers[0].dilation[0] if isinstance(self.layers[0], FusedConv) else 1
        self.linkable = all(
            is_linkable(layer, dilation) and layer.stride == [1, 1] for layer in self.layers
        )
        self._linked = Packed(make_linked_block)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        if self.linkable and can_link(x):
            out = by_kernels(self, x)
            if out is not None:
                return out
        dense = all(isinstance(layer, FusedConv) for layer in self.layers)
        by_source = dense and x.dtype == torch.float32 and runs_in_pool(x)
        if by_source and has_onednn_convolutions(x.dtype):
            features = self._by_source(x)
        else:
            features = [x]
            for links, layer in zip(self.links, self.layers):
                features.append(layer(self.pool.concatenate([features[link] for link in links])))
        return self.pool.concatenate([features[layer] for layer in self.out_layers])

    def linked_forward(self, x: Tensor) -> Tensor:
        """Compute by :mod:`hardnet_mm.kernels.triton`."""
        from ..kernels.triton.pool import pool_into

        block = self._linked(list(self.layers), self)
        maps = block.maps((len(x), *x.shape[2:]), x)
        pool_into(maps, block.starts[1], x)
        return block.compute(maps)

    def _by_source(self, x):
        features = [x]
        contributions = [[] for _ in self.layers]
        sources = self._sources(list(self.layers), self.layers, self.links)
        for number, (convolution, readers, widths) in enumerate(sources):
            parts = convolution(features[number]).split(widths, dim=1)
            for reader, part in zip(readers, parts):
                contributions[reader - 1].append(part)
            # a layer's nearest link is the layer before it, so the next one is complete
            features.append(self.layers[number].act(self._sum(contributions[number])))
            contributions[number] = None
        return features

    def _sum(self, parts):
        """Sum channels-last tensors into the last one, which no other layer reads."""
        *others, total = parts
        if not others:
            return total.contiguous(memory_format=torch.channels_last)
        for part in others:
            total.add_(part)
        return total


def _make_sources(layers, links):
    """Return the convolution of each feature, the layers that read it, and their widths."""
    sources = []
    kernels = weights_by_source([layer.weight for layer in layers], links)
    for number, (readers, weight) in enumerate(zip(readers_of(links), kernels)):
        widths = [len(layers[reader - 1].weight) for reader in readers]
        bias = weight.new_zeros(len(weight))
        bias[: widths[0]] = layers[number].bias  # its nearest link brings a layer's bias
        convolution = FusedConv(layers[0], pool=layers[0].pool)  # all are alike
        convolution.weight = nn.Parameter(weight, requires_grad=False)
        convolution.bias = nn.Parameter(bias, requires_grad=False)
        sources.append((convolution, readers, widths))
    return sources


def make_linked_block(block: FusedBlock, transition: FusedConv | None = None) -> Any:
    """Return a :class:`hardnet_mm.kernels.triton.linked_block.LinkedBlock`.

    Args:
        block (FusedBlock): The block.
        transition (FusedConv, optional): The only reader of the block's output. Defaults to None.
    """
    from ..kernels.triton.linked_block import LinkedBlock

    return LinkedBlock(list(block.layers), block.links, block.out_layers, transition)
