"""HarDNet-DFUS's decoder."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from ..registry import MODELS
from ..utils.arguments import typed
from ..utils.errors import InputError
from ..utils.initialization import PYTORCH_INIT
from .checks import check_foreground_alone, check_widths
from .lawin_attention import PATCH, LawinAttention, WindowReduction, as_map, as_patches

RATIOS = (8, 4, 2)  # a window's side by a patch's
# The original's initialization: PyTorch's own for the classifiers of the two deeper maps.
INIT = [
    dict(type='TruncNormal', layer='Linear', std=0.02),
    dict(type='Kaiming', layer='Conv2d', override=dict(PYTORCH_INIT, name='deep_seg')),
]


@MODELS.register_module()
class LawinHead(BaseDecodeHead):
    """Decoder of HarDNet-DFUS (https://arxiv.org/abs/2209.07313, kytimmylai/DFUC2022).

    The maps at strides 8, 16 and 32 each pass a linear layer, and are fused at stride 8. From the
    fused map five maps are computed and concatenated: a Conv1x1 of it, its mean, and three
    attentions (:class:`~hardnet_mm.seg.lawin_attention.LawinAttention`) of its 8 x 8 patches to
    windows with 8, 4 and 2 times their side. These are fused, upsampled to stride 4, and fused with
    the map at stride 4. The last convolution computes one logit per pixel, of the foreground.

    Three further maps have losses in training: logits from the fused map, logits from the deepest
    map, and the channels of the map at stride 4, which learn the boundary of the foreground.

    Args:
        in_channels (Sequence[int]): Channels of the four inputs, shallow ones first, as
            ``HarDNetV2.channels`` with ``out_indices=('block0', 1, 2, 3)``.
        channels (int): Channels of the fused maps, a multiple of 128. Defaults to 512.
        embed_channels (int): Channels of each deeper map after its linear layer. Defaults to 768.
        low_level_channels (int): Channels of the map at stride 4. Defaults to 48.
        num_classes (int): 2, for background and foreground. Defaults to 2.
        threshold (float): Probability above which a pixel is foreground. Defaults to 0.5.
        in_index (Sequence[int]): Which of the backbone's outputs are the inputs. Defaults to
            (0, 1, 2, 3).
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
        loss_decode (dict | list[dict]): Config of the loss of the three logits. Defaults to
            ``dict(type='StructureLoss', weighted_cross_entropy=True)``.
        loss_boundary (dict): Config of the boundary's loss. Defaults to
            ``dict(type='LaplacianBoundaryLoss')``.
        ignore_index (int, optional): Label of ignored pixels, for losses that support it. The
            default losses do not. Defaults to None.
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to the original's.
        **kwargs: The other arguments of ``BaseDecodeHead``.

    Raises:
        ValueError: If there are not four inputs, more than the two classes, or ``channels`` is not
            a multiple of 128.
    """

    @typed
    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 512,
        embed_channels: int = 768,
        low_level_channels: int = 48,
        num_classes: int = 2,
        threshold: float = 0.5,
        in_index: Sequence[int] = (0, 1, 2, 3),
        norm_cfg: dict = dict(type='BN'),
        loss_decode: dict | list = dict(type='StructureLoss', weighted_cross_entropy=True),
        loss_boundary: dict = dict(type='LaplacianBoundaryLoss'),
        ignore_index: int | None = None,
        init_cfg: dict | list | None = INIT,
        **kwargs: Any,
    ) -> None:
        if not len(in_channels) == len(in_index) == 4:
            raise ValueError(
                'in_channels and in_index must have four values, for the maps at strides 4, 8, 16 '
                f'and 32, got {in_channels} and {in_index}'
            )
        check_foreground_alone(num_classes)
        if channels % (2 * RATIOS[0] ** 2):
            raise ValueError(f'channels must be a multiple of 128, got {channels}')
        super().__init__(
            in_channels,
            channels,
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
        low, *deep = in_channels
        self.low_level = nn.Linear(low, low_level_channels)
        self.embeddings = nn.ModuleList(nn.Linear(width, embed_channels) for width in deep)
        self.embeddings_fusion = self._conv(len(deep) * embed_channels)
        self.short_path = self._conv(channels)
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.reductions = nn.ModuleList(WindowReduction(channels, ratio) for ratio in RATIOS)
        self.attentions = nn.ModuleList(
            LawinAttention(channels, ratio**2, norm_cfg) for ratio in RATIOS
        )
        self.views_fusion = self._conv((2 + len(RATIOS)) * channels)
        self.low_level_fusion = self._conv(channels + low_level_channels)
        self.deep_seg = nn.ModuleList(nn.Conv2d(w, 1, 1) for w in (channels, embed_channels))
        self.loss_boundary = MODELS.build(loss_boundary)

    def _conv(self, in_channels):
        return ConvModule(in_channels, self.channels, 1, norm_cfg=self.norm_cfg)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Map feature maps ``(N, in_channels[i], H_i, W_i)`` to logits ``(N, 1, H_0, W_0)``.

        Raises:
            ValueError: If the inputs do not have ``in_channels`` channels, or the sides of the map
                at stride 8 are not multiples of 8.
        """
        return self._decoded(inputs)[0]

    def supervised(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return all maps that have losses in training.

        Args:
            inputs (Sequence[Tensor]): As in :meth:`forward`.

        Returns:
            tuple[Tensor]: The logits ``(N, 1, H_0, W_0)``, those of the fused map and of the
            deepest map, both ``(N, 1, H_1, W_1)``, and the channels that learn the boundary,
            ``(N, low_level_channels, H_0, W_0)``.
        """
        logits, fused, deepest, low_level = self._decoded(inputs)
        return logits, self.deep_seg[0](fused), self.deep_seg[1](deepest), low_level

    def _decoded(self, inputs):
        inputs = self._transform_inputs(inputs)
        self._check(inputs)
        low_level = _by_pixel(self.low_level, inputs[0])
        size = inputs[1].shape[2:]
        deep = [
            self._enlarged(_by_pixel(layer, x), size)
            for layer, x in zip(self.embeddings, inputs[1:])
        ]
        fused = self.embeddings_fusion(torch.cat(deep[::-1], dim=1))
        views = self.views_fusion(torch.cat(self._views(fused), dim=1))
        views = self._enlarged(views, low_level.shape[2:])
        logits = self.cls_seg(self.low_level_fusion(torch.cat([views, low_level], dim=1)))
        return logits, fused, deep[-1], low_level

    def _views(self, fused):
        height, width = fused.shape[2:]
        patches = as_patches(fused)
        views = [self.short_path(fused), self.image_pool(fused).expand_as(fused)]
        for attention, reduction in zip(self.attentions, self.reductions):
            views.append(as_map(attention(patches, reduction(fused)), height, width))
        return views

    def _enlarged(self, x, size):
        return resize(x, size, None, 'bilinear', self.align_corners, warning=False)

    def _check(self, inputs):
        check_widths(inputs, self.in_channels)
        sides = inputs[1].shape[2:]
        # symbols of a tracer are not compared: they stand for any size
        if any(isinstance(side, int) and side % PATCH for side in sides):
            raise InputError(
                f'LawinHead divides the map at stride 8 into patches of {PATCH} x {PATCH}, and it '
                f"has {sides[0]} x {sides[1]}: an image's sides must be multiples of 64. "
                'size_divisor=64 of the data_preprocessor, and in its test_cfg, pads images'
            )

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list, train_cfg: dict) -> dict:
        """Compute the losses of the logits, of the logits of two deeper maps, and of the boundary.

        Args:
            inputs (Sequence[Tensor]): As in :meth:`forward`.
            batch_data_samples (list[SegDataSample]): Each has ``gt_sem_seg``, ``(1, H', W')``,
                integers or soft values, 1 for foreground.
            train_cfg (dict): Not used.
        """
        logits, *deep, boundary = self.supervised(inputs)
        losses = self.loss_by_feat(logits, batch_data_samples)
        for number, deep_logits in enumerate(deep, start=1):
            found = self.loss_by_feat(deep_logits, batch_data_samples)
            losses.update({f'deep{number}.{name}': value for name, value in found.items()})
        mask = self._stack_batch_gt(batch_data_samples)
        boundary = self._enlarged(boundary, mask.shape[2:])
        losses[self.loss_boundary.loss_name] = self.loss_boundary(boundary, mask)
        return losses

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list) -> dict:
        """Compute the losses of one map of logits, without mmseg's accuracy."""
        losses = super().loss_by_feat(seg_logits, batch_data_samples)
        del losses['acc_seg']
        return losses


def _by_pixel(linear, x):
    """Apply a linear layer to the channels of ``(N, C, H, W)``."""
    return linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
