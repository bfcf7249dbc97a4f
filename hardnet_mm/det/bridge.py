"""The layers between a HarDNet and the feature levels of a detector."""

from mmcv.cnn import ConvModule
from mmengine.model import Sequential
from torch import nn


class Bridge(Sequential):
    """MaxPool 3x3 - Conv3x3 - BN - ReLU - Conv1x1 - BN - ReLU, all at stride 1.

    It corresponds to fc6 and fc7 of VGG (lzx1413/PytorchSSD, SSD_HarDNet68 and SSD_HarDNet85).
    Weights are initialized He-normal, with fan-out.

    Args:
        channels (int): Channels of the input and of the output.
        mid_channels (int): Channels between the convolutions.
        dilation (int): Dilation of the Conv3x3. Defaults to 1.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
    """

    def __init__(
        self,
        channels: int,
        mid_channels: int,
        dilation: int = 1,
        norm_cfg: dict = dict(type='BN'),
    ) -> None:
        super().__init__(
            nn.MaxPool2d(3, stride=1, padding=1),
            ConvModule(
                channels, mid_channels, 3, padding=dilation, dilation=dilation, norm_cfg=norm_cfg
            ),
            ConvModule(mid_channels, channels, 1, norm_cfg=norm_cfg),
            init_cfg=dict(type='Kaiming', layer='Conv2d', mode='fan_out'),
        )
