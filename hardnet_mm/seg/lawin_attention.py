"""Large-window attention, as in HarDNet-DFUS."""

import torch
from mmcv.cnn import NonLocal2d
from torch import Tensor, nn

PATCH = 8  # pixels across


class LawinAttention(NonLocal2d):
    """Attention of patches to larger windows around them (https://arxiv.org/abs/2201.01615).

    It is mmcv's non-local block with three differences. First, query and context are two tensors:
    the query is a patch of 8 x 8 positions, and its context a window that is downsampled to 8 x 8.
    Second, there are several heads. Third, each head has a linear layer over the positions of the
    context, with a residual connection, before the attention.

    Args:
        in_channels (int): Channels of query and context.
        num_heads (int): Number of heads, a divisor of ``in_channels`` and of its half.
        norm_cfg (dict): Config of the norm after the last convolution. Defaults to
            ``dict(type='BN')``.

    Raises:
        ValueError: If the heads do not divide the channels.
    """

    def __init__(self, in_channels: int, num_heads: int, norm_cfg: dict = dict(type='BN')) -> None:
        super().__init__(in_channels, norm_cfg=norm_cfg)
        if self.inter_channels % num_heads or in_channels % num_heads:
            raise ValueError(
                f'{num_heads} heads do not divide {in_channels} channels, or not half of them'
            )
        self.num_heads = num_heads
        self.position_mixing = nn.ModuleList(
            nn.Linear(PATCH * PATCH, PATCH * PATCH) for _ in range(num_heads)
        )

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """Map patches and their windows, both ``(N, in_channels, 8, 8)``, to that shape."""
        context = self._mixed(context)
        theta = self._heads(self.theta(query)).transpose(1, 2)
        value = self._heads(self.g(context)).transpose(1, 2)
        weights = self.embedded_gaussian(theta, self._heads(self.phi(context)))
        found = (weights @ value).transpose(1, 2).reshape(-1, self.inter_channels, PATCH, PATCH)
        return query + self.conv_out(found)

    def _heads(self, x):
        """Return ``(N, C, 8, 8)`` as ``(N * heads, C / heads, 64)``."""
        return x.reshape(-1, x.shape[1] // self.num_heads, PATCH * PATCH)

    def _mixed(self, context):
        # all heads at once: their weights are (heads, 64, 64)
        weight = torch.stack([mixing.weight for mixing in self.position_mixing])
        bias = torch.stack([mixing.bias for mixing in self.position_mixing])
        heads = context.reshape(-1, self.num_heads, context.shape[1] // self.num_heads, PATCH**2)
        mixed = heads @ weight.transpose(1, 2) + bias[:, None]
        return (heads + mixed).reshape(context.shape)


class WindowReduction(nn.Module):
    """The windows around all patches of a map, downsampled to the size of a patch.

    A window is ``ratio`` times as wide as its patch, with zero padding at the map's border. A
    convolution with stride ``ratio`` downsamples it, followed by a LayerNorm over the channels.

    The original cuts out the windows and downsamples each of them. Their offsets are multiples of
    the stride. Here the map is therefore downsampled once, and the windows are cut out of the
    result. The values are the same, with fewer MACs, above all for a large ``ratio``.

    Args:
        channels (int): Channels of the map.
        ratio (int): Side of a window, divided by that of a patch: 1, 2, 4 or 8.
    """

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        padding = (ratio - 1) * PATCH // 2
        self.projection = nn.Conv2d(channels, channels, ratio, stride=ratio, padding=padding)
        self.norm = nn.LayerNorm(channels)
        self.step = PATCH // ratio

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to ``(N * H / 8 * W / 8, channels, 8, 8)``."""
        reduced = self.norm(self.projection(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return as_patches(reduced, self.step)


def as_patches(x: Tensor, step: int = PATCH) -> Tensor:
    """Cut a map ``(N, C, H, W)`` into ``(N * rows * columns, C, 8, 8)``, ``step`` pixels apart."""
    cut = nn.functional.unfold(x, PATCH, stride=step)  # (N, C * 64, rows * columns)
    return cut.transpose(1, 2).reshape(-1, x.shape[1], PATCH, PATCH)


def as_map(patches: Tensor, height: int, width: int) -> Tensor:
    """Join patches ``(N * H / 8 * W / 8, C, 8, 8)`` to a map ``(N, C, H, W)``."""
    rows, columns = height // PATCH, width // PATCH
    grid = patches.reshape(-1, rows, columns, patches.shape[1], PATCH, PATCH)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, patches.shape[1], height, width)
