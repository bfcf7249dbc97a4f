"""SSD's extra levels behind a HarDNet."""

from mmcv.cnn import ConvModule
from mmdet.models.necks import SSDNeck
from torch import nn

from ..registry import MODELS


@MODELS.register_module()
class HarDNetSSDNeck(SSDNeck):
    """mmdet's SSD neck with a bridge between the backbone and the levels.

    The bridge refines the deepest input: MaxPool 3x3 - Conv3x3 - BN - ReLU - Conv1x1 - BN - ReLU,
    all at stride 1. It stands where VGG has its fc6 and fc7 (lzx1413/PytorchSSD, SSD_HarDNet68 and
    SSD_HarDNet85).

    Args:
        in_channels (Sequence[int]): Channels of the inputs; the bridge has as many as the last one.
        out_channels (Sequence[int]): Channels of the levels, those of the inputs first.
        bridge_channels (int): Channels between the bridge's convolutions.
        bridge_dilation (int): Dilation of its Conv3x3. Defaults to 1.
        bridge_norm_cfg (dict): Config of its norm layers. Defaults to ``dict(type='BN')``.
        **kwargs: The other arguments of ``SSDNeck``.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        bridge_channels,
        bridge_dilation=1,
        bridge_norm_cfg=dict(type='BN'),
        **kwargs,
    ):
        super().__init__(in_channels, out_channels, **kwargs)
        self.bridge = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            ConvModule(
                in_channels[-1],
                bridge_channels,
                3,
                padding=bridge_dilation,
                dilation=bridge_dilation,
                norm_cfg=bridge_norm_cfg,
            ),
            ConvModule(bridge_channels, in_channels[-1], 1, norm_cfg=bridge_norm_cfg),
        )

    def forward(self, inputs):
        """Map the backbone's outputs ``(N, in_channels[i], H_i, W_i)`` to all levels, a tuple."""
        return super().forward((*inputs[:-1], self.bridge(inputs[-1])))
