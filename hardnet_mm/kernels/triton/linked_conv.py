"""A convolution that reads its links in place."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from triton.tools.tensor_descriptor import TensorDescriptor

from ...training.in_place_relu6 import InPlaceReLU6
from . import kernels, launches
from .padded_maps import PaddedMaps, round_up

ACTIVATIONS = {
    nn.Identity: kernels.NO_ACT.value,
    nn.ReLU: kernels.RELU.value,
    nn.ReLU6: kernels.RELU6.value,
    InPlaceReLU6: kernels.RELU6.value,
}
MOST_RUNS = 6  # as the kernel has arguments for
NEVER = 2**30


class Blocks(NamedTuple):
    """Sizes of the blocks that a program computes: the parameters that are tuned."""

    rows: int  # positions of a program
    out: int  # output channels of a program
    out2: int  # and further ones, since each number is a power of two
    inner: int  # input channels of a step
    splits: int  # programs that share a sum
    warps: int
    stages: int  # steps that are loaded ahead
    accelerator: bool  # whether the tensor memory accelerator loads, which Hopper introduced
    taps: int = 1  # of a step: one, or the three of a line of a 3x3 kernel


def cover(links: list[tuple[int, int]], window: int) -> list[tuple[int, int]]:
    """Return runs of windows that cover the links, the last one first.

    Args:
        links (list[tuple[int, int]]): First channel and end of each link, ascending.
        window (int): Channels of a window.

    Returns:
        list[tuple[int, int]]: End of each run and its number of windows, which extend downwards
        from the end. No window extends above the links, because those channels may not have been
        written yet.
    """
    joined: list[list[int]] = []
    for first, end in links:
        if joined and joined[-1][1] == first:
            joined[-1][1] = end
        else:
            joined.append([first, end])
    while len(joined) > MOST_RUNS:
        gaps = [after[0] - before[1] for before, after in zip(joined, joined[1:])]
        index = gaps.index(min(gaps))
        joined[index : index + 2] = [[joined[index][0], joined[index + 1][1]]]
    runs, covered = [], NEVER
    for first, end in reversed(joined):
        end = min(end, covered)
        if end > first:
            windows = -(-(end - first) // window)
            covered = end - windows * window
            runs.append((end, windows))
    return runs


class LinkedConv:
    """A convolution with its activation, and the channels of its links in the padded maps.

    Args:
        weight (Tensor): ``(out_channels, in_channels, k, k)`` with k 1 or 3. The padding is that of
            the maps.
        bias (Tensor | None): ``(out_channels,)``.
        act (nn.Module | int): An activation of :data:`ACTIVATIONS`, or its index.
        links (list[tuple[int, int]]): First channel and number of channels of each link, in the
            order of the weight's input channels.
        stride (int): Stride of the convolution. Defaults to 1.
        slot (int): The channels of each link and of the output are rounded up to a multiple of
            this; the rest are zeros. Defaults to 8.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        act: nn.Module | int,
        links: list[tuple[int, int]],
        stride: int = 1,
        slot: int = 8,
    ) -> None:
        self.weight = weight
        self.act = act if isinstance(act, int) else ACTIVATIONS[type(act)]
        self.kernel, self.stride = weight.shape[-1], stride
        self.out_channels, self.slot = round_up(len(weight), slot), slot
        self.bias = weight.new_zeros(self.out_channels, dtype=torch.float32)
        if bias is not None:
            self.bias[: len(weight)] = bias
        self.links = links
        self.reach = max(first + round_up(width, slot) for first, width in links)
        # which input channel of the weight each channel of the maps is
        self.sources: dict[int, int] = {}
        for first, width in links:
            for channel in range(first, first + width):
                self.sources[channel] = len(self.sources)
        self._packed: dict[int, tuple] = {}

    def windows(self, window: int) -> int:
        """Return the number of windows of channels that cover the links."""
        return sum(number for _, number in cover(self._spans(), window))

    def _spans(self):
        return sorted((first, first + round_up(width, self.slot)) for first, width in self.links)

    def pack(self, window: int) -> tuple[list[tuple[int, int]], Tensor]:
        """Return the runs of windows, and the weights in the order of the kernel's steps."""
        if window not in self._packed:
            runs = cover(self._spans(), window)
            left, index = dict(self.sources), []
            nothing = self.weight.shape[1]
            for end, windows in runs:
                for number in range(1, windows + 1):
                    first = max(end - number * window, 0)
                    channels = range(first, first + window)
                    index += [left.pop(channel, nothing) for channel in channels]
            assert not left
            weight = nn.functional.pad(
                self.weight, (0, 0, 0, 0, 0, 1, 0, self.out_channels - len(self.weight))
            )
            weight = weight[:, torch.tensor(index, device=weight.device)]
            weight = weight.unflatten(1, (-1, window)).flatten(3).transpose(2, 3)
            self._packed[window] = runs, weight.flatten(1).contiguous()
        return self._packed[window]

    def __call__(
        self,
        maps: PaddedMaps,
        out: Tensor,
        padded: bool,
        blocks: Blocks,
        geometry: PaddedMaps | None = None,
    ) -> None:
        """Convolve.

        Args:
            maps (PaddedMaps): The padded maps with the links.
            out (Tensor): The output tensor. With ``padded`` its rows are those of padded maps,
                otherwise it is ``(N * H * W, channels)``. It has one column per output channel,
                rounded up to a multiple of 8.
            padded (bool): Whether zeros are written around the outputs.
            blocks (Blocks): Sizes of the blocks.
            geometry (PaddedMaps, optional): Padded maps whose rows the output has. Defaults to
                None: ``maps``.
        """
        geometry = geometry or maps
        if 4 * geometry.halo > blocks.rows:  # most rows of a program would be its neighbours'
            blocks = blocks._replace(taps=1)
        runs, weight = self.pack(blocks.inner)
        starts, ends = [], []
        number = 0
        for end, windows in runs:
            starts.append(number)
            ends.append((end + number * blocks.inner) // 8)
            number += windows
        starts += [NEVER] * (MOST_RUNS - len(starts))
        ends += [0] * (MOST_RUNS - len(ends))
        images, height, width = geometry.shape
        tiles_out = -(-self.out_channels // (blocks.out + blocks.out2))
        own_rows = blocks.rows - 2 * geometry.halo * (blocks.taps // 2)
        tiles_rows = -(-geometry.rows // own_rows)
        x, kernel, kernel2 = maps.buffer, weight, weight
        if blocks.accelerator:
            x = TensorDescriptor.from_tensor(x, [blocks.rows, blocks.inner])
            kernel = TensorDescriptor.from_tensor(weight, [blocks.out, blocks.inner])
            if blocks.out2:
                kernel2 = TensorDescriptor.from_tensor(weight, [blocks.out2, blocks.inner])
            else:
                kernel2 = None
        partials = arrivals = self.bias  # not used without splits
        if blocks.splits > 1:
            tiles = tiles_out * tiles_rows
            size = tiles * blocks.splits * blocks.rows * (blocks.out + blocks.out2)
            partials = self.bias.new_empty(size)
            arrivals = maps.arrivals(2 * tiles)
        kernels.linked_conv[tiles_out, tiles_rows, blocks.splits](
            x,
            kernel,
            kernel2,
            self.bias,
            out,
            partials,
            arrivals,
            maps.rows,
            *maps.shape[1:],
            maps.buffer.shape[1] // 8,
            geometry.rows,
            *geometry.shape,
            maps.halo,
            self.out_channels // 8,
            out.stride(0) // 8,
            blocks.splits,
            number,
            *starts[1:],
            *ends,
            KERNEL=self.kernel,
            STRIDE=self.stride,
            ACT=self.act,
            PADDED=padded,
            SPLIT=blocks.splits > 1,
            ACCELERATOR=blocks.accelerator,
            TAPS=blocks.taps,
            **launches.options(),
            BLOCK_ROWS=blocks.rows,
            BLOCK_OUT=blocks.out,
            BLOCK_OUT2=blocks.out2,
            BLOCK_IN=blocks.inner,
            num_warps=blocks.warps,
            num_stages=blocks.stages,
        )
