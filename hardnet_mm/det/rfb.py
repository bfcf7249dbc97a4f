"""Receptive Field Blocks: branches with kernels of different sizes, larger ones with more dilation.

S. Liu, D. Huang, Y. Wang: Receptive Field Block Net for Accurate and Fast Object Detection,
ECCV 2018 (arXiv 1711.07767). The widths are those of lzx1413/PytorchSSD, RFB_HarDNet68.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList, Sequential
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

from ..utils.errors import InputError

RFB_NORM = dict(type='BN', momentum=0.01)


class Layer(NamedTuple):
    """A convolution of a branch, with 'same' padding.

    Attributes:
        kernel (int | tuple[int, int]): Side of the kernel, or its height and width.
        channels (int): Channels of the output.
        stride (int): Stride. Defaults to 1.
        dilation (int): Dilation. Defaults to 1.
    """

    kernel: int | tuple[int, int]
    channels: int
    stride: int = 1
    dilation: int = 1


class ReceptiveFieldBlock(BaseModule):
    """Branches of convolutions, concatenated and added to a shortcut.

    Each convolution has a norm. All but the last of a branch also have a ReLU. The outputs of the
    branches are concatenated and fused by a Conv1x1 - BN. The shortcut is a Conv1x1 - BN of the
    input. Their sum passes a ReLU.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        branches (Sequence[Sequence[Layer]]): The layers of each branch.
        stride (int): Stride of the shortcut, and the total stride of each branch. Defaults to 1.
        norm_cfg (dict): Config of the norm layers. Defaults to BatchNorm, momentum 0.01.

    Raises:
        InputError: If a layer has no channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        branches: Sequence[Sequence[Layer]],
        stride: int = 1,
        norm_cfg: dict = RFB_NORM,
    ) -> None:
        super().__init__()
        if min(layer.channels for branch in branches for layer in branch) < 1:
            raise InputError(f'in_channels must be 16 or more, got {in_channels}')
        self.branches = ModuleList(make_branch(in_channels, b, norm_cfg) for b in branches)
        joined = sum(branch[-1].channels for branch in branches)
        self.linear = ConvModule(joined, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.shortcut = ConvModule(
            in_channels, out_channels, 1, stride=stride, norm_cfg=norm_cfg, act_cfg=None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, ceil(H / stride), ...)``."""
        joined = torch.cat([branch(x) for branch in self.branches], dim=1)
        return F.relu(self.linear(joined) + self.shortcut(x))


def make_branch(in_channels: int, layers: Sequence[Layer], norm_cfg: dict) -> Sequential:
    """Return the convolutions of a branch."""
    convs = []
    for layer in layers:
        convs.append(
            ConvModule(
                in_channels,
                layer.channels,
                layer.kernel,
                stride=layer.stride,
                padding=tuple(layer.dilation * (side // 2) for side in _pair(layer.kernel)),
                dilation=layer.dilation,
                norm_cfg=norm_cfg,
                act_cfg=None if layer is layers[-1] else dict(type='ReLU'),
            )
        )
        in_channels = layer.channels
    return Sequential(*convs)


class RFB(ReceptiveFieldBlock):
    """The paper's RFB: a 3x3 branch and a 5x5 branch (two 3x3s), each with a dilated convolution.

    Args:
        in_channels (int): Channels of the input, 16 or more.
        out_channels (int): Channels of the output.
        stride (int): Stride of the block. Defaults to 1.
        dilations (Sequence[int]): Dilation of each branch's last convolution. Defaults to (3, 5).
        norm_cfg (dict): Config of the norm layers. Defaults to BatchNorm, momentum 0.01.

    Raises:
        InputError: If ``in_channels`` are fewer than 16.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        dilations: Sequence[int] = (3, 5),
        norm_cfg: dict = RFB_NORM,
    ) -> None:
        c = in_channels // 8
        near, far = dilations
        branches = (
            (Layer(1, c), Layer(3, 2 * c, stride), Layer(3, 2 * c, dilation=near)),
            (
                Layer(1, c),
                Layer(3, c // 2 * 3),
                Layer(3, 2 * c, stride),
                Layer(3, 2 * c, dilation=far),
            ),
        )
        super().__init__(in_channels, out_channels, branches, stride, norm_cfg)


class RFBS(ReceptiveFieldBlock):
    """The paper's RFB-s, for shallow levels: more branches with smaller kernels, at stride 1.

    Args:
        in_channels (int): Channels of the input, 16 or more.
        out_channels (int): Channels of the output.
        norm_cfg (dict): Config of the norm layers. Defaults to BatchNorm, momentum 0.01.

    Raises:
        InputError: If ``in_channels`` are fewer than 16.
    """

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: dict = RFB_NORM) -> None:
        c = in_channels // 4
        branches = (
            (Layer(1, c), Layer(3, c)),
            (Layer(1, c), Layer((3, 1), c), Layer(3, c, dilation=3)),
            (Layer(1, c), Layer((1, 3), c), Layer(3, c, dilation=3)),
            (
                Layer(1, c // 2),
                Layer((1, 3), c // 4 * 3),
                Layer((3, 1), c),
                Layer(3, c, dilation=5),
            ),
        )
        super().__init__(in_channels, out_channels, branches, norm_cfg=norm_cfg)
