"""CenterNet's head for HarDNet: one branch learns size and offset, at all positions of a box."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.dense_heads import CenterNetHead
from mmdet.models.utils import (
    get_local_maximum,
    get_topk_from_heatmap,
    transpose_and_gather_feat,
)
from mmdet.utils import reduce_mean
from mmengine.dist import get_world_size
from torch import Tensor

from ..registry import MODELS
from ..utils.arguments import typed
from ..utils.tracing import is_eager
from .centernet_targets import dense_targets


@MODELS.register_module()
class CTHarDNetHead(CenterNetHead):
    """mmdet's CenterNet head with dense size and offset (PingoLH/CenterNet-HarDNet).

    There are two branches, each Conv3x3 - ReLU - Conv1x1. One computes the heatmap. The other has
    four channels: width, height, offset x and offset y, in positions. A branch has
    ``feat_channels`` hidden channels, or four times its output channels if that is more.

    The losses are those of :class:`CenterNetHead`. The losses of size and offset are weighted as
    :func:`dense_targets` describes, and divided by the sum of the weights. With several processes,
    losses are divided by the centres and weights of the total batch. The original program divides
    by those of one GPU.

    Args:
        in_channels (int): Channels of the input.
        num_classes (int): Number of classes.
        feat_channels (int): Minimum of the hidden channels of a branch. Defaults to 128.
        stride (int): Distance in pixels of two neighbouring positions of the map. Position i lies
            on pixel i * stride, for any size of image. Defaults to 4.
        **kwargs: The other arguments of :class:`CenterNetHead`.

    Attributes:
        map_names (tuple[str]): Names of what :meth:`forward` returns: of each a list of one level.
        output_names (tuple[str]): Names of what :meth:`decode` returns.
    """

    map_names = ('heatmap', 'size', 'offset')
    output_names = ('boxes', 'scores', 'labels')

    @typed
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
        """Initialize as the original does.

        Weights are He-uniform and biases zero, except the heatmap's: its scores start at 0.1.
        """
        for branch in (self.heatmap_head, self.wh_head):
            for layer in (branch[0], branch[2]):
                torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity='relu')
                torch.nn.init.zeros_(layer.bias)
        torch.nn.init.constant_(self.heatmap_head[-1].bias, -2.19)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map ``(N, in_channels, H, W)`` to heatmap ``(N, num_classes, H, W)``, size and offset.

        Returns:
            tuple[Tensor]: Scores in 0..1, widths and heights in positions ``(N, 2, H, W)``, offsets
            x, y in positions ``(N, 2, H, W)``.

        Raises:
            ValueError: If the input does not have ``in_channels`` channels.
        """
        if is_eager(x) and x.shape[1] != self.in_channels:
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

        Scores are clamped away from 0 and 1, where the losses are infinite in half precision.
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

        The base class divides the losses by twice the number of centres. The weights are scaled so
        that the result is a division by the sum of the weights.
        """
        height, width = feat_shape[2:]
        boxes = [each / self.stride for each in gt_bboxes]
        heatmap, size, offset, weight = dense_targets(
            boxes, gt_labels, self.num_classes, height, width
        )
        weight = weight[:, None].expand_as(size)
        # Both numbers are means over the processes, because gradients are averaged over processes.
        processes = get_world_size()
        centers = reduce_mean(heatmap.eq(1).count_nonzero().to(weight))
        avg_factor = centers.clamp(min=1 / processes)
        total = reduce_mean(weight.sum()) + 1e-4 / processes
        weight = weight * (2 * avg_factor / total)
        result = dict(
            center_heatmap_target=heatmap,
            wh_target=size,
            offset_target=offset,
            wh_offset_target_weight=weight,
        )
        return result, avg_factor

    def decode(
        self, heatmap: Tensor, size: Tensor, offset: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the detections: the ``test_cfg.topk`` highest peaks, best first.

        A peak is a position with the highest score of its neighbourhood, a square of
        ``test_cfg.local_maximum_kernel`` positions. If an image has fewer than ``topk`` peaks, the
        remaining detections have a score of 0.

        Args:
            heatmap (Tensor): As :meth:`forward_single` returns it, ``(N, num_classes, H, W)``.
            size (Tensor): Likewise, ``(N, 2, H, W)`` in positions.
            offset (Tensor): Likewise, ``(N, 2, H, W)`` in positions.

        Returns:
            tuple[Tensor]: Boxes ``(N, topk, 4)``, x1 y1 x2 y2 in pixels, scores ``(N, topk)`` in
            0..1, and labels ``(N, topk)`` int64.
        """
        peaks = get_local_maximum(heatmap, self.test_cfg.local_maximum_kernel)
        peaks = peaks.contiguous()  # mmdet takes a view, which channels-last maps do not have
        scores, positions, labels, _, _ = get_topk_from_heatmap(peaks, self.test_cfg.topk)
        return self.boxes_of(positions, size, offset), scores, labels

    def boxes_of(self, positions: Tensor, size: Tensor, offset: Tensor) -> Tensor:
        """Return the boxes predicted at some positions.

        Args:
            positions (Tensor): Indices of positions, row by row, ``(N, K)`` int64.
            size (Tensor): As of :meth:`decode`.
            offset (Tensor): As of :meth:`decode`.

        Returns:
            Tensor: ``(N, K, 4)``, x1 y1 x2 y2 in pixels.
        """
        width = size.shape[3]
        row = torch.div(positions, width, rounding_mode='floor')
        corner = torch.stack([positions - row * width, row], dim=2)
        center = corner + transpose_and_gather_feat(offset, positions)
        # after little training sizes may be negative, and such boxes cannot be drawn
        half = transpose_and_gather_feat(size.clamp(min=0), positions) / 2
        return torch.cat([center - half, center + half], dim=2) * self.stride

    def _decode_heatmap(self, heatmap, size, offset, img_shape, k=100, kernel=3):
        """Return boxes with their scores ``(N, topk, 5)``, and labels, for mmdet's prediction."""
        boxes, scores, labels = self.decode(heatmap, size, offset)
        return torch.cat([boxes, scores[..., None]], dim=2), labels

    def _predict_by_feat_single(self, heatmap, size, offset, img_meta, **kwargs):
        # mmdet's takes the border that its own test pipeline pads with, the original's has none;
        # and the size of the image, of which it computes the stride
        img_meta = {'border': np.zeros(4), 'batch_input_shape': None, **img_meta}
        return super()._predict_by_feat_single(heatmap, size, offset, img_meta, **kwargs)
