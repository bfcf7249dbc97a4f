"""RFBNet's neck, for HarDNet or any other backbone."""

from collections.abc import Sequence
from typing import Any

from mmdet.models.necks import SSDNeck
from mmengine.model import ModuleList
from torch import Tensor, nn

from ..registry import MODELS
from ..utils.arguments import typed
from ..utils.errors import InputError
from .bridge import Bridge
from .rfb import RFB, RFB_NORM, RFBS
from .ssd_neck import check_map, smallest_map


@MODELS.register_module()
class RFBNeck(SSDNeck):
    """mmdet's SSD neck with Receptive Field Blocks in front of its extra layers.

    An :class:`RFBS` computes the first level from the first input. A chain of :class:`RFB` computes
    the next levels from the second input. The last levels are those of ``SSDNeck``, a Conv1x1 and
    another convolution each, here with norms (lzx1413/PytorchSSD, RFB_HarDNet68 and RFB_HarDNet85).

    Args:
        in_channels (Sequence[int]): Channels of the two inputs.
        out_channels (Sequence[int]): Channels of the levels.
        block_strides (Sequence[int]): Stride of each RFB.
        block_dilations (Sequence[Sequence[int]]): Dilations of the two branches of each RFB.
        bridge (dict, optional): Arguments of a :class:`Bridge` in front of the first RFB, without
            ``channels``. Defaults to None: no bridge.
        norm_cfg (dict): Config of the norm layers except the bridge's. Defaults to BatchNorm,
            momentum 0.01.
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to the original's:
            He-normal weights, with fan-out.
        **kwargs: The other arguments of ``SSDNeck``: ``level_strides``, ``level_paddings`` and
            ``last_kernel_size`` of the last levels.

    Raises:
        InputError: If the numbers of inputs, strides, dilations and levels do not match.
    """

    @typed
    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        block_strides: Sequence[int],
        block_dilations: Sequence[Sequence[int]],
        bridge: dict | None = None,
        norm_cfg: dict = RFB_NORM,
        init_cfg: dict | list | None = [
            dict(type='Kaiming', layer='Conv2d', mode='fan_out'),
            dict(type='Constant', val=1, layer='BatchNorm2d'),
        ],
        **kwargs: Any,
    ) -> None:
        _check(in_channels, out_channels, block_strides, block_dilations)
        of_blocks = out_channels[: 1 + len(block_strides)]
        super().__init__(
            of_blocks,
            out_channels,
            l2_norm_scale=None,
            norm_cfg=norm_cfg,
            init_cfg=init_cfg,
            **kwargs,
        )
        first, second = in_channels
        self.rfb_s = RFBS(first, of_blocks[0], norm_cfg)
        self.bridge = nn.Identity() if bridge is None else Bridge(second, **bridge)
        self.blocks = ModuleList(
            RFB(before, channels, stride, dilations, norm_cfg)
            for before, channels, stride, dilations in zip(
                (second, *of_blocks[1:]), of_blocks[1:], block_strides, block_dilations
            )
        )
        self.smallest_map = smallest_map(self.extra_layers)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map the backbone's outputs ``(N, in_channels[i], H_i, W_i)`` to all levels, a tuple.

        Raises:
            InputError: If the second input is too small for the kernels of the last levels.
        """
        first, second = inputs
        levels, x = [self.rfb_s(first)], self.bridge(second)
        for block in self.blocks:
            x = block(x)
            levels.append(x)
        check_map(self, x)
        return super().forward(levels)


def _check(in_channels, out_channels, strides, dilations):
    if len(in_channels) != 2:
        raise InputError(f'RFBNeck has two inputs: in_channels must be two, got {in_channels}')
    if not 0 < len(strides) == len(dilations) < len(out_channels) - 1:
        raise InputError(
            'block_strides and block_dilations must have a value for each RFB, of which RFBNeck '
            'has at least one, and two fewer than out_channels at most; got '
            f'{len(strides)}, {len(dilations)} and {len(out_channels)}'
        )
    if any(len(pair) != 2 for pair in dilations):
        raise InputError(f'block_dilations must be pairs, one number a branch, got {dilations}')
