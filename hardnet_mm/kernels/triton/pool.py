"""Pooling and copying into padded maps."""

from typing import NamedTuple

from torch import Tensor, nn

from . import kernels, launches
from .padded_maps import PaddedMaps

BLOCK_ROWS, BLOCK_CHANNELS = 64, 64  # of a program


class Pool(NamedTuple):
    """Parameters of a pool; the defaults are those of a copy."""

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    average: bool = False  # which counts zero padding
    ceil_mode: bool = False

    @classmethod
    def of(cls, layer: nn.MaxPool2d | nn.AvgPool2d | None) -> 'Pool':
        """Return the parameters of a layer's pool."""
        if layer is None:
            return cls()
        average = isinstance(layer, nn.AvgPool2d)
        return cls(layer.kernel_size, layer.stride, layer.padding, average, layer.ceil_mode)

    def sides(self, sides: tuple) -> tuple[int, ...]:
        """Return height and width of the output."""
        found = []
        for size in sides:
            rest = self.stride - 1 if self.ceil_mode else 0
            side = (size + 2 * self.padding - self.kernel + rest) // self.stride + 1
            # no window begins beyond the padding at the start
            found.append(side - (rest > 0 and (side - 1) * self.stride >= size + self.padding))
        return tuple(found)


COPY = Pool()


def pool_into(maps: PaddedMaps, channels: int, x: Tensor, pool: Pool = COPY) -> None:
    """Pool ``(N, C, H, W)``, channels-last, into the first ``channels`` of padded maps."""
    grid = (-(-maps.rows // BLOCK_ROWS), -(-channels // BLOCK_CHANNELS))
    numbers = (x.shape[1], x.stride(0), x.stride(2), x.stride(3))
    group = 8 if all(number % 8 == 0 for number in numbers) and x.data_ptr() % 16 == 0 else 1
    kernels.pool[grid](
        x,
        maps.buffer,
        *(number // group for number in numbers),
        *x.shape[2:],
        maps.rows,
        *maps.shape,
        maps.halo,
        channels // 8,
        maps.buffer.stride(0) // 8,
        KERNEL=pool.kernel,
        STRIDE=pool.stride,
        PADDING=pool.padding,
        AVERAGE=pool.average,
        GROUP=group,
        **launches.options(),
        BLOCK_ROWS=BLOCK_ROWS,
        BLOCK_CHANNELS=BLOCK_CHANNELS,
    )
