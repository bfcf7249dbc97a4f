"""A stage of HarDNet for inference on a GPU, without concatenations."""

import torch
from torch import Tensor, nn

from ..backbones.stages import Stage
from .fused_block import FusedBlock
from .fused_conv import LINKABLE_ACTS, FusedConv, state_of
from .linked import can_link, is_linkable_conv, linked_block


class FusedStem(Stage):
    """A stem for inference; on a GPU, in a half precision, each convolution is one kernel.

    Args:
        stem (Stage): The stem, its convolutions fused.
        wanted (Container): Names of the outputs that will be used.
    """

    def __init__(self, stem: Stage, wanted) -> None:
        super().__init__()
        for name, layer in stem.named_children():
            self.add_module(name, layer)
        self.outputs = {layer: name for layer, name in stem.outputs.items() if name in wanted}
        self._made = None, None
        self.linkable = self._is_linkable()

    def _is_linkable(self):
        if not all(isinstance(layer, FusedConv) and layer.groups == 1 for layer in self):
            return False
        first, *rest = self
        return first.weight.shape[1] <= 4 and all(
            isinstance(layer.act, LINKABLE_ACTS)
            and layer.stride in ([1, 1], [2, 2])
            and layer.dilation == [1, 1]
            and layer.weight.shape[2:] in ((1, 1), (3, 3))
            and layer.padding == [layer.weight.shape[2] // 2] * 2
            for layer in self
        )

    def forward(self, x: Tensor, store=None) -> Tensor:
        """Map images ``(N, C_in, H, W)`` to the last output; call ``store(name, output)``."""
        if self.linkable and can_link(x, self[0].weight.dtype):
            return self.linked_forward(x, store)
        return super().forward(x, store)

    def linked_forward(self, x, store=None):
        """Compute by :mod:`hardnet_mm.kernels.triton`."""
        from ..kernels.triton.image_conv import LinkedStem

        state = [state_of(layer.weight) for layer in self]
        if state != self._made[0]:
            with torch.inference_mode(False), torch.no_grad():
                self._made = state, LinkedStem(list(self))

        def keep(index, output):
            if store is not None and str(index) in self.outputs:
                store(self.outputs[str(index)], output)

        return self._made[1](x, keep)

    def __getstate__(self):
        """Leave the packed weights out of copies and files; the next run packs them again."""
        return {**self.__dict__, '_made': (None, None)}


class FusedStage(Stage):
    """A stage for inference.

    On a GPU, in a half precision, its pool writes to where its first block reads, each layer to
    where the next ones read, and a transition to where the next block reads: see
    :mod:`hardnet_mm.kernels.triton`.

    Args:
        stage (Stage): The stage, its blocks and convolutions fused.
        wanted (Container): Names of the outputs that will be used.
    """

    def __init__(self, stage: Stage, wanted) -> None:
        super().__init__()
        for name, layer in stage.named_children():
            self.add_module(name, layer)
        self.outputs = {layer: name for layer, name in stage.outputs.items() if name in wanted}
        self._made = None, None
        self.linkable = self._is_linkable()

    def _is_linkable(self):
        blocks = [layer for layer in self if isinstance(layer, FusedBlock)]
        rest = [layer for layer in self if not isinstance(layer, (FusedBlock, nn.Dropout))]
        if rest and rest[0] is self._modules.get('downsample'):
            if not isinstance(rest.pop(0), (nn.MaxPool2d, nn.AvgPool2d)):
                return False
        return all(block.linkable for block in blocks) and all(
            isinstance(layer, FusedConv)
            and is_linkable_conv(layer, blocks[0].layers[0].dilation[0])
            for layer in rest
        )

    def forward(self, x: Tensor, store=None) -> Tensor:
        """Map ``(N, C_in, H, W)`` to the last layer's output; call ``store(name, output)``."""
        if self.linkable and can_link(x):
            return self.linked_forward(x, store)
        return super().forward(x, store)

    def linked_forward(self, x, store=None):
        """Compute by :mod:`hardnet_mm.kernels.triton`."""
        from ..kernels.triton.linked_block import pool_into

        blocks = self._linked_blocks()
        pool, maps = None, None
        for index, (name, block) in enumerate(blocks.items()):
            if maps is None:
                pool = self._modules.get('downsample')
                shape = (len(x), *x.shape[2:]) if pool is None else pooled_shape(pool, x)
                maps = block.maps(shape, x)
                pool_into(maps, block.starts[1], x, *arguments_of(pool))
            last = index == len(blocks) - 1
            following = None if last else list(blocks.values())[index + 1]
            if following is None:
                x = block.compute(maps)
                stored = maps
            else:
                stored, maps_next = maps, following.maps(maps.shape, maps.buffer)
                block.compute(maps, maps_next.buffer)
                maps = maps_next
            if store is not None and name in self.outputs:
                features = [block.feature(stored, layer) for layer in block.out_layers]
                store(self.outputs[name], torch.cat(features, dim=1))
        return x

    def _linked_blocks(self):
        """Return a stage's blocks, each with the transition after it, by name."""
        state = [state_of(module.weight) for module in self.modules() if hasattr(module, 'weight')]
        if state != self._made[0]:
            layers = {name: layer for name, layer in self.named_children()}
            self._made = (
                state,
                {
                    name: linked_block(block, layers.get(name.replace('block', 'transition')))
                    for name, block in layers.items()
                    if isinstance(block, FusedBlock)
                },
            )
        return self._made[1]

    def __getstate__(self):
        """Leave the packed weights out of copies and files; the next run packs them again."""
        return {**self.__dict__, '_made': (None, None)}


def pooled_shape(pool, x):
    """Return the images, height and width of a pool's output."""
    kernel, stride, padding, _ = arguments_of(pool)
    sides = []
    for size in x.shape[2:]:
        side = (size + 2 * padding - kernel + (stride - 1) * pool.ceil_mode) // stride + 1
        # no window begins beyond the padding's start
        sides.append(side - (pool.ceil_mode and (side - 1) * stride >= size + padding))
    return len(x), *sides


def arguments_of(pool):
    """Return kernel, stride, padding and whether it averages, of a pool or of none."""
    if pool is None:
        return 1, 1, 0, False
    return pool.kernel_size, pool.stride, pool.padding, isinstance(pool, nn.AvgPool2d)
