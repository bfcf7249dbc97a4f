"""FC-HarDNet's decoder."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from ..backbones import HarDBlock
from ..registry import MODELS
from ..utils.arguments import typed
from .checks import check_widths


@MODELS.register_module()
class FCHarDNetHead(BaseDecodeHead):
    """U-shaped decoder of HarDNet blocks (PingoLH/FCHarDNet, models/hardnet.py).

    From the deepest input on, the features are upsampled to the size of the next shallower input,
    concatenated with it, halved in channels (Conv1x1 - norm - activation), and passed through a
    block. The class scores have the size of the shallowest input.

    Args:
        in_channels (Sequence[int]): Channels of the inputs, shallow ones first.
        growth_rates (Sequence[int]): Growth rate of the block at each input except the deepest,
            shallow ones first.
        num_layers (Sequence[int]): Number of layers of these blocks.
        growth_multiplier (float): Growth multiplier of the blocks. Defaults to 1.7.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
        act_cfg (dict): Config of the activations. Defaults to ``dict(type='ReLU')``.
        align_corners (bool): Whether resizing aligns the centres of corner pixels, here and in the
            last upsampling to the image's size. Defaults to True.
        **kwargs: The other arguments of ``BaseDecodeHead``.

    Raises:
        ValueError: If the arguments differ in length.
    """

    @typed
    def __init__(
        self,
        in_channels: Sequence[int],
        growth_rates: Sequence[int],
        num_layers: Sequence[int],
        growth_multiplier: float = 1.7,
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='ReLU'),
        align_corners: bool = True,
        **kwargs: Any,
    ) -> None:
        if not len(growth_rates) == len(num_layers) == len(in_channels) - 1:
            raise ValueError(
                f'growth_rates {growth_rates} and num_layers {num_layers} need one value for each '
                f'of in_channels {in_channels} but the last'
            )
        conv_cfg: dict = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        # in mmengine's ModuleList each convolution would overwrite the initialization by init_cfg
        projections, blocks = nn.ModuleList(), nn.ModuleList()
        channels = in_channels[-1]
        for skip, growth_rate, layers in zip(
            in_channels[-2::-1], growth_rates[::-1], num_layers[::-1]
        ):
            width = (channels + skip) // 2
            projections.append(ConvModule(channels + skip, width, 1, **conv_cfg))
            blocks.append(HarDBlock(width, growth_rate, growth_multiplier, layers, **conv_cfg))
            channels = blocks[-1].out_channels
        super().__init__(
            in_channels,
            channels,
            in_index=tuple(range(len(in_channels))),
            input_transform='multiple_select',
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            align_corners=align_corners,
            **{'dropout_ratio': 0, **kwargs},
        )
        self.projections, self.blocks = projections, blocks

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Map inputs ``(N, in_channels[i], H_i, W_i)`` to class scores ``(N, classes, H_0, W_0)``.

        Raises:
            ValueError: If the inputs do not have ``in_channels`` channels.
        """
        check_widths(inputs, self.in_channels)
        *skips, x = inputs
        for skip, project, block in zip(reversed(skips), self.projections, self.blocks):
            x = resize(x, skip.shape[2:], None, 'bilinear', self.align_corners, warning=False)
            x = block(project(torch.cat([x, skip], dim=1)))
        return self.cls_seg(x)
