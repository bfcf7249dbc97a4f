"""CenterNet's head on HarDNet: size and offset are learned densely, by one branch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.dense_heads import CenterNetHead
from torch import Tensor

from ..registry import MODELS
from .centernet_targets import dense_targets


@MODELS.register_module()
class CTHarDNetHead(CenterNetHead):
    """mmdet's CenterNet head with dense size and offset (PingoLH/CenterNet-HarDNet).

    Two branches, Conv3x3 - ReLU - Conv1x1: the heatmap, and four channels of width, height, offset
    x and offset y, in cells. A branch's hidden width is ``feat_channels``, or four times its
    outputs where that is more. Losses are those of :class:`CenterNetHead`; size and offset are
    weighted as :func:`dense_targets` describes, and divided by the sum of the weights.

    Args:
        in_channels (int): Channels of the input.
        num_classes (int): Number of classes.
        feat_channels (int): Least hidden channels of a branch. Defaults to 128.
        stride (int): Pixels of a cell; cell i lies on pixel i * stride, whether the image's size
            divides by it or not. Defaults to 4.
        **kwargs: The other arguments of :class:`CenterNetHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        feat_channels: int = 128,
        stride: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, feat_channels, num_classes, **kwargs)
        self.in_channels = in_channels
        self.stride = stride
        self.wh_head = self._build_head(in_channels, feat_channels, 4)
        del self.offset_head

    def _build_head(self, in_channels, feat_channels, out_channels):
        return super()._build_head(in_channels, max(feat_channels, 4 * out_channels), out_channels)

    def init_weights(self) -> None:
        """Initialize as the original: He-uniform, no bias but the heatmap's, sigmoid 0.1."""
        for branch in (self.heatmap_head, self.wh_head):
            for layer in (branch[0], branch[2]):
                torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity='relu')
                torch.nn.init.zeros_(layer.bias)
        torch.nn.init.constant_(self.heatmap_head[-1].bias, -2.19)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map ``(N, in_channels, H, W)`` to heatmap ``(N, num_classes, H, W)``, size and offset.

        Returns:
            tuple[Tensor]: Scores in 0..1, widths and heights in cells ``(N, 2, H, W)``, offsets x,
            y in cells ``(N, 2, H, W)``.

        Raises:
            ValueError: If the input is not as wide as the head was built for.
        """
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f"the head's in_channels is {self.in_channels}, but its input has {x.shape[1]} "
                'channels: see CTHarDNetNeck.out_channels'
            )
        size, offset = self.wh_head(x).split(2, dim=1)
        return self.heatmap_head(x).sigmoid(), size, offset

    def loss_by_feat(
        self, heatmaps: Sequence[Tensor], *args: Any, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Return the losses; see :meth:`CenterNetHead.loss_by_feat`.

        Scores are kept from 0 and 1, where half precision has infinite losses.
        """
        heatmaps = [heatmap.float().clamp(1e-4, 1 - 1e-4) for heatmap in heatmaps]
        return super().loss_by_feat(heatmaps, *args, **kwargs)

    def get_targets(
        self,
        gt_bboxes: Sequence[Tensor],
        gt_labels: Sequence[Tensor],
        feat_shape: Sequence[int],
        img_shape: Sequence[int],
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the targets of a batch; see :meth:`CenterNetHead.get_targets`.

        The weights are scaled such that the division of the base class, by twice the number of
        centres, comes to one by their sum.
        """
        height, width = feat_shape[2:]
        boxes = [each / self.stride for each in gt_bboxes]
        heatmap, size, offset, weight = dense_targets(
            boxes, gt_labels, self.num_classes, height, width
        )
        avg_factor = heatmap.eq(1).count_nonzero().clamp(min=1)
        weight = weight[:, None].expand_as(size)
        weight = weight * (2 * avg_factor / (weight.sum() + 1e-4))
        result = dict(
            center_heatmap_target=heatmap,
            wh_target=size,
            offset_target=offset,
            wh_offset_target_weight=weight,
        )
        return result, avg_factor

    def _predict_by_feat_single(self, heatmap, size, offset, img_meta, **kwargs):
        height, width = (side * self.stride for side in heatmap.shape[-2:])
        # mmdet's takes the border that its own test pipeline pads with; the original's has none.
        img_meta = {'border': np.zeros(4), **img_meta, 'batch_input_shape': (height, width)}
        size = size.clamp(min=0)  # as little training may give less, which mmdet cannot draw
        return super()._predict_by_feat_single(heatmap, size, offset, img_meta, **kwargs)
