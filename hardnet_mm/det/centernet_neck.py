"""CenterNet's decoder for HarDNet."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from ..backbones import HarDBlock
from ..registry import MODELS
from ..utils.arguments import typed
from ..utils.tracing import is_eager


@MODELS.register_module()
class CTHarDNetNeck(BaseModule):
    """U-shaped decoder of HarDNet blocks (PingoLH/CenterNet-HarDNet, HarDNetSeg).

    The inputs are called skips. The deepest skip is projected (Conv1x1 - norm - activation),
    downsampled by 2, extended by :func:`with_context`, and passed through a block. Then this is
    repeated from the deepest skip to the shallowest: the features are upsampled to the size of the
    skip, concatenated with it, projected, extended, and passed through a block. The last channels
    of each projection are a shortcut: they are upsampled and concatenated to the output directly.

    Args:
        in_channels (Sequence[int]): Channels of the skips, shallow ones first.
        projection_channels (Sequence[int]): Channels after each projection, shortcuts included. It
            has one value more than there are skips.
        growth_rates (Sequence[int]): Growth rate of each block.
        num_layers (Sequence[int]): Number of layers of each block.
        shortcut_channels (Sequence[int]): Channels of each skip's projection that go straight to
            the output, deepest first.
        use_skips (Sequence[bool], optional): Whether each skip is concatenated, deepest first. Of
            others only the size is used. Defaults to None: all are concatenated.
        growth_multiplier (float): Growth multiplier of the blocks. Defaults to 1.7.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
        act_cfg (dict): Config of the activations. Defaults to ``dict(type='ReLU')``.
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to He-uniform
            convolutions, as the original's.

    Attributes:
        out_channels (int): Channels of the output.

    Raises:
        ValueError: If the arguments differ in length.
    """

    @typed
    def __init__(
        self,
        in_channels: Sequence[int],
        projection_channels: Sequence[int],
        growth_rates: Sequence[int],
        num_layers: Sequence[int],
        shortcut_channels: Sequence[int],
        use_skips: Sequence[bool] | None = None,
        growth_multiplier: float = 1.7,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='ReLU'),
        init_cfg: dict | list | None = dict(
            type='Kaiming', layer='Conv2d', mode='fan_in', distribution='uniform'
        ),
    ) -> None:
        super().__init__(init_cfg)
        num_skips = len(in_channels)
        use_skips = (True,) * num_skips if use_skips is None else tuple(use_skips)
        for name, values, wanted in (
            ('projection_channels', projection_channels, num_skips + 1),
            ('growth_rates', growth_rates, num_skips + 1),
            ('num_layers', num_layers, num_skips + 1),
            ('shortcut_channels', shortcut_channels, num_skips),
            ('use_skips', use_skips, num_skips),
        ):
            if len(values) != wanted:
                raise ValueError(
                    f'{name} must have {wanted} values for {num_skips} skips, got {values}'
                )
        self.in_channels = tuple(in_channels)
        self.shortcut_channels = (0, *shortcut_channels)
        self.use_skips = use_skips
        conv_cfg: dict = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.projections = nn.ModuleList()
        self.blocks = nn.ModuleList()
        for step, width in enumerate(projection_channels):
            if step == 0:
                channels = in_channels[-1]
            else:
                channels = self.blocks[-1].out_channels
                channels += in_channels[-step] if use_skips[step - 1] else 0
            self.projections.append(ConvModule(channels, width, 1, **conv_cfg))
            self.blocks.append(
                HarDBlock(
                    3 * (width - self.shortcut_channels[step]),
                    growth_rates[step],
                    growth_multiplier,
                    num_layers[step],
                    **conv_cfg,
                )
            )
        self.halve = nn.AvgPool2d(2, stride=2)
        self.out_channels = self.blocks[-1].out_channels + sum(shortcut_channels)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor]:
        """Decode the skips.

        Args:
            inputs (tuple[Tensor]): The skips ``(N, in_channels[i], H_i, W_i)``, shallow first.

        Returns:
            tuple[Tensor]: One map, ``(N, out_channels, H_0, W_0)``.

        Raises:
            ValueError: If the number of skips, their channels or their sizes are wrong.
        """
        if all(map(is_eager, inputs)):
            self._check(inputs)
        x = self.blocks[0](with_context(self.halve(self.projections[0](inputs[-1]))))
        shortcuts = []
        steps = zip(reversed(inputs), self.use_skips, self.projections[1:], self.blocks[1:])
        for (skip, use, project, block), width in zip(steps, self.shortcut_channels[1:]):
            x = enlarge(x, skip)
            x = project(torch.cat([x, skip], dim=1) if use else x)
            if width:
                x, shortcut = x.split((x.shape[1] - width, width), dim=1)
                shortcuts.append(shortcut)
            x = block(with_context(x))
        return (torch.cat([*(enlarge(s, x) for s in reversed(shortcuts)), x], dim=1),)

    def _check(self, inputs):
        channels = tuple(skip.shape[1] for skip in inputs)
        if channels != self.in_channels:
            raise ValueError(
                f"the neck's in_channels are {self.in_channels}, but the backbone's outputs have "
                f'{channels} channels: see HarDNet.channels'
            )
        sizes = [tuple(skip.shape[-2:]) for skip in inputs]
        if sizes != sorted(sizes, reverse=True) or min(sizes[-1]) < 2:
            raise ValueError(
                f'the skips must get smaller with depth, down to no less than 2 x 2, got {sizes}: '
                "order the backbone's out_indices, or enlarge the input"
            )


def with_context(x: Tensor) -> Tensor:
    """Extend ``(N, C, H, W)`` to ``(N, 3C, H, W)``: x, its 9x9 means, and x divided by its sum.

    The means include the zero padding. The sum is that of each channel, plus 0.1.
    """
    means = functional.avg_pool2d(x, 9, stride=1, padding=4)
    return torch.cat([x, means, x / (x.sum(dim=(2, 3), keepdim=True) + 0.1)], dim=1)


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Resize ``(N, C, h, w)`` bilinearly to the ``(N, C, H, W)`` of another map."""
    return functional.interpolate(x, like.shape[-2:], mode='bilinear', align_corners=True)
