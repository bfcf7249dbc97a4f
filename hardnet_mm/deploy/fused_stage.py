"""HarDNet's stem and stages for inference on a GPU, without concatenations."""

from collections.abc import Callable, Container
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones.stages import Stage
from .fused_block import FusedBlock, make_linked_block
from .fused_conv import FusedConv
from .linked import by_kernels, can_link, is_linkable
from .packed import Packed

POOLS = (nn.MaxPool2d, nn.AvgPool2d)


class FusedStem(Stage):
    """A stem for inference.

    On a GPU, in float16 or bfloat16, each convolution is one kernel of
    :mod:`hardnet_mm.kernels.triton`. The first kernel takes images of any type and layout.

    Args:
        stem (Stage): The stem, its convolutions fused.
        wanted (Container): Names of the outputs that will be used.
    """

    def __init__(self, stem: Stage, wanted: Container) -> None:
        super().__init__()
        for name, layer in stem.named_children():
            self.add_module(name, layer)
        self.outputs = {layer: name for layer, name in stem.outputs.items() if name in wanted}
        strides = ([1, 1], [2, 2])
        self.linkable = all(is_linkable(layer) and layer.stride in strides for layer in self)
        # more channels than a step of the image's kernel has places for
        self.linkable = self.linkable and self[0].weight[0].numel() <= 64
        self._linked = Packed(_make_linked_stem)

    def forward(self, x: Tensor, store: Callable | None = None) -> Tensor:
        """Map images ``(N, C_in, H, W)`` to the last output; call ``store(name, output)``."""
        if self.linkable and can_link(x, self[0].weight.dtype):
            out = by_kernels(self, x, store)
            if out is not None:
                return out
            x = x.to(self[0].weight.dtype, memory_format=torch.channels_last)
        return super().forward(x, store)

    def linked_forward(self, x: Tensor, store: Callable | None = None) -> Tensor:
        """Compute by :mod:`hardnet_mm.kernels.triton`."""

        def keep(index, output):
            if store is not None and str(index) in self.outputs:
                store(self.outputs[str(index)], output)

        return self._linked(list(self), list(self))(x, keep)


def _make_linked_stem(layers):
    from ..kernels.triton.linked_stem import LinkedStem

    return LinkedStem(layers)


class FusedStage(Stage):
    """A stage for inference.

    On a GPU, in float16 or bfloat16, it uses :mod:`hardnet_mm.kernels.triton`. The pool, each layer
    and each transition then write directly to the tensor that the next layers or the next block
    read.

    Args:
        stage (Stage): The stage, its blocks and convolutions fused.
        wanted (Container): Names of the outputs that will be used.
    """

    def __init__(self, stage: Stage, wanted: Container) -> None:
        super().__init__()
        for name, layer in stage.named_children():
            self.add_module(name, layer)
        self.outputs = {layer: name for layer, name in stage.outputs.items() if name in wanted}
        *others, _ = blocks = [layer for layer in self if isinstance(layer, FusedBlock)]
        transitions = [layer for name, layer in self.named_children() if 'transition' in name]
        self.linkable = (
            isinstance(self._modules.get('downsample', nn.MaxPool2d(2)), POOLS)
            and all(block.linkable for block in blocks)
            and all(is_linkable(layer) for layer in transitions)
            and len(transitions) >= len(others)
        )
        self._linked = Packed(_make_linked_blocks)

    def forward(self, x: Tensor, store: Callable | None = None) -> Tensor:
        """Map ``(N, C_in, H, W)`` to the last layer's output; call ``store(name, output)``."""
        out = by_kernels(self, x, store) if self.linkable and can_link(x) else None
        return super().forward(x, store) if out is None else out

    def linked_forward(self, x: Tensor, store: Callable | None = None) -> Tensor:
        """Compute by :mod:`hardnet_mm.kernels.triton`."""
        from ..kernels.triton.pool import Pool, pool_into

        convs = [layer for layer in self.modules() if isinstance(layer, FusedConv)]
        names, blocks = zip(*self._linked(convs, self).items())
        pool = Pool.of(self._modules.get('downsample'))
        maps = blocks[0].maps((len(x), *pool.sides(x.shape[2:])), x)
        pool_into(maps, blocks[0].starts[1], x, pool)
        for name, block, following in zip(names, blocks, (*blocks[1:], None)):
            if following is None:
                following_maps, x = None, block.compute(maps)
            else:
                following_maps = following.maps(maps.shape, x)
                block.compute(maps, following_maps.buffer)
            if store is not None and name in self.outputs:
                store(self.outputs[name], block.output(maps))
            maps = following_maps
        return x


def _make_linked_blocks(stage: FusedStage) -> dict[str, Any]:
    """Return the linked blocks of a stage by name, each with the transition after it."""
    layers = dict(stage.named_children())
    return {
        name: make_linked_block(block, layers.get(name.replace('block', 'transition')))
        for name, block in layers.items()
        if isinstance(block, FusedBlock)
    }
