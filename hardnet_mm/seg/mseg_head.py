"""HarDNet-MSEG's decoder."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from ..registry import MODELS
from ..utils.arguments import typed
from ..utils.initialization import PYTORCH_INIT
from .checks import check_foreground_alone, check_widths


class MSEGReceptiveFieldBlock(nn.Module):
    """Receptive field block of HarDNet-MSEG and PraNet (lib/HarDMSEG.py, RFB_modified).

    There are four branches with receptive fields of 1, 9, 15 and 21 pixels. Each starts with a
    Conv1x1. In three of them a 1 x k convolution, a k x 1 convolution and a Conv3x3 with dilation k
    follow, for k = 3, 5 and 7. The branches are concatenated, fused by a Conv3x3, and added to a
    Conv1x1 of the input. The block ends with a ReLU. All convolutions have a norm and no
    activation.

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the branches and of the output.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
    """

    def __init__(self, in_channels: int, channels: int, norm_cfg: dict = dict(type='BN')) -> None:
        super().__init__()
        conv_cfg: dict = dict(norm_cfg=norm_cfg, act_cfg=None)
        # in mmengine's Sequential each convolution would overwrite the initialization by init_cfg
        self.branches = nn.ModuleList(
            [nn.Sequential(ConvModule(in_channels, channels, 1, **conv_cfg))]
        )
        for size in (3, 5, 7):
            self.branches.append(
                nn.Sequential(
                    ConvModule(in_channels, channels, 1, **conv_cfg),
                    ConvModule(channels, channels, (1, size), padding=(0, size // 2), **conv_cfg),
                    ConvModule(channels, channels, (size, 1), padding=(size // 2, 0), **conv_cfg),
                    ConvModule(channels, channels, 3, padding=size, dilation=size, **conv_cfg),
                )
            )
        self.fusion = nn.Sequential(
            ConvModule(len(self.branches) * channels, channels, 3, padding=1, **conv_cfg)
        )
        self.shortcut = nn.Sequential(ConvModule(in_channels, channels, 1, **conv_cfg))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, channels, H, W)``."""
        fused = self.fusion(torch.cat([branch(x) for branch in self.branches], dim=1))
        return (fused + self.shortcut(x)).relu()


class DensePartialDecoder(nn.Module):
    """Aggregation of three feature maps of equal width (lib/HarDMSEG.py, aggregation).

    A map is upsampled to the size of the next shallower one, multiplied with it, and concatenated
    to it. Every convolution is a Conv3x3 with a norm and no activation. Upsampling is bilinear with
    ``align_corners=True``.

    Args:
        channels (int): Channels of each input.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.

    Attributes:
        out_channels (int): Channels of the output, ``3 * channels``.
    """

    def __init__(self, channels: int, norm_cfg: dict = dict(type='BN')) -> None:
        super().__init__()
        self.out_channels = 3 * channels
        # of the deepest map (1, 2, 4), of the middle one (3), and of both together (5)
        widths = (channels, channels, channels, channels, 2 * channels)
        self.upsampled = nn.ModuleList(_conv3x3(width, norm_cfg) for width in widths)
        self.concatenated = nn.ModuleList(_conv3x3(width * channels, norm_cfg) for width in (2, 3))
        self.last = nn.Sequential(_conv3x3(self.out_channels, norm_cfg))

    def forward(self, shallow: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """Map ``(N, channels, H_i, W_i)``, shallow first, to ``(N, out_channels, H_0, W_0)``."""
        up1, up2, up3, up4, up5 = self.upsampled
        deep_in_middle = _enlarged(deep, middle)
        deep_in_shallow = _enlarged(deep_in_middle, shallow)
        middle_in_shallow = _enlarged(middle, shallow)
        two = torch.cat([up1(deep_in_middle) * middle, up4(deep_in_middle)], dim=1)
        two = self.concatenated[0](two)
        product = up2(deep_in_shallow) * up3(middle_in_shallow) * shallow
        three = torch.cat([product, up5(_enlarged(two, shallow))], dim=1)
        return self.last(self.concatenated[1](three))


def _conv3x3(channels, norm_cfg):
    return ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None)


def _enlarged(x, other):
    return resize(x, other.shape[2:], None, 'bilinear', align_corners=True, warning=False)


@MODELS.register_module()
class HarDNetMSEGHead(BaseDecodeHead):
    """Decoder of HarDNet-MSEG (https://arxiv.org/abs/2101.07172, james128333/HarDNet-MSEG).

    Three feature maps, at strides 8, 16 and 32, each pass a :class:`MSEGReceptiveFieldBlock`. A
    :class:`DensePartialDecoder` fuses them to one map at stride 8. The last convolution computes
    one logit per pixel, of the foreground.

    The original needs images whose sides are multiples of 32. This head takes any size, since each
    map is upsampled to the size of the next one. The backbone's pools ignore the last rows and
    columns of other sizes, unless the preprocessor pads (``test_cfg=dict(size_divisor=32)``).

    Args:
        in_channels (Sequence[int]): Channels of the three inputs, shallow ones first, as
            ``HarDNet.channels`` with ``out_indices=(1, 2, 3)``.
        channels (int): Channels of each block. Defaults to 32.
        num_classes (int): 2, for background and foreground. Defaults to 2.
        threshold (float): Probability above which a pixel is foreground. Defaults to 0.5.
        in_index (Sequence[int]): Which of the backbone's outputs are the inputs. Defaults to
            (0, 1, 2).
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
        loss_decode (dict | list[dict]): Config of the loss. Defaults to
            ``dict(type='StructureLoss')``.
        ignore_index (int, optional): Label of ignored pixels, for losses that support it. The
            structure loss does not. Defaults to None.
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to PyTorch's own
            initialization, as in the original.
        **kwargs: The other arguments of ``BaseDecodeHead``.

    Raises:
        ValueError: If there are not three inputs, or not two classes.
    """

    @typed
    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 32,
        num_classes: int = 2,
        threshold: float = 0.5,
        in_index: Sequence[int] = (0, 1, 2),
        norm_cfg: dict = dict(type='BN'),
        loss_decode: dict | list = dict(type='StructureLoss'),
        ignore_index: int | None = None,
        init_cfg: dict | list | None = PYTORCH_INIT,
        **kwargs: Any,
    ) -> None:
        if not len(in_channels) == len(in_index) == 3:
            raise ValueError(
                'in_channels and in_index must have three values, for the maps at strides 8, 16 '
                f'and 32, got {in_channels} and {in_index}'
            )
        check_foreground_alone(num_classes)
        blocks = nn.ModuleList(
            MSEGReceptiveFieldBlock(width, channels, norm_cfg) for width in in_channels
        )
        decoder = DensePartialDecoder(channels, norm_cfg)
        super().__init__(
            in_channels,
            decoder.out_channels,
            num_classes=num_classes,
            out_channels=1,
            threshold=threshold,
            in_index=in_index,
            input_transform='multiple_select',
            norm_cfg=norm_cfg,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            init_cfg=init_cfg,
            **{'dropout_ratio': 0, **kwargs},
        )
        self.receptive_fields, self.decoder = blocks, decoder

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Map feature maps ``(N, in_channels[i], H_i, W_i)`` to logits ``(N, 1, H_0, W_0)``.

        Raises:
            ValueError: If the inputs do not have ``in_channels`` channels.
        """
        inputs = self._transform_inputs(inputs)
        check_widths(inputs, self.in_channels)
        maps = [block(x) for block, x in zip(self.receptive_fields, inputs)]
        return self.cls_seg(self.decoder(*maps))

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list) -> dict:
        """Compute the losses, without mmseg's accuracy, which needs several channels.

        Args:
            seg_logits (Tensor): ``(N, 1, H, W)``.
            batch_data_samples (list[SegDataSample]): Each has ``gt_sem_seg``, ``(1, H', W')``, 1
                for foreground.
        """
        losses = super().loss_by_feat(seg_logits, batch_data_samples)
        del losses['acc_seg']
        return losses
