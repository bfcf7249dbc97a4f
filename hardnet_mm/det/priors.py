"""Decoding of dense heads: from their output maps to the boxes and scores of all priors.

The code can be traced for export: it selects no boxes, computes nothing in place, and works with a
batch dimension of free size.
"""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from torch import Tensor

from ..utils.tracing import constant


def decode_priors(
    head: BaseDenseHead,
    logits: Sequence[Tensor],
    deltas: Sequence[Tensor],
    image_size: Sequence[int],
    last_pixel: Sequence[float] = (0, 0),
) -> tuple[Tensor, Tensor]:
    """Return the boxes and scores of all priors, level by level, row by row.

    For the boxes that mmdet's ``BaseDenseHead`` selects, the values are the same as mmdet's.

    Args:
        head (BaseDenseHead): A head with a ``prior_generator`` and a ``bbox_coder``.
        logits (Sequence[Tensor]): Class scores of each level, ``(N, A * cls_out_channels, H, W)``,
            for A priors per position.
        deltas (Sequence[Tensor]): Encoded boxes of each level, ``(N, A * 4, H, W)``.
        image_size (Sequence[int]): Height and width of the image in pixels. Boxes are clipped to it
            if ``bbox_coder.clip_border`` is set.
        last_pixel (Sequence[float]): Width and height in pixels that are added to boxes, for heads
            with inclusive box coordinates. Defaults to (0, 0).

    Returns:
        tuple[Tensor]: Boxes ``(N, P, 4)``, x1 y1 x2 y2 in pixels, and scores ``(N, classes, P)`` in
        0..1, for P priors of all levels.
    """
    sizes = [level.shape[-2:] for level in logits]
    priors = torch.cat(
        head.prior_generator.grid_priors(sizes, dtype=logits[0].dtype, device=logits[0].device)
    )
    all_deltas = flatten_levels(deltas, 4)
    batch = all_deltas.shape[0]  # not len(): a tracer would take it for a constant
    priors = priors.expand(batch, -1, -1).reshape(-1, priors.shape[1])
    boxes = head.bbox_coder.decode(priors, all_deltas.reshape(-1, 4)).reshape(batch, -1, 4)
    if any(last_pixel):
        boxes = boxes + boxes.new_tensor([0, 0, *map(float, last_pixel)])
    if head.bbox_coder.clip_border:
        height, width = map(constant, image_size)
        limits = boxes.new_tensor([width, height, width, height])
        boxes = torch.minimum(boxes.clamp(min=0), limits)
    scores = flatten_levels(logits, head.cls_out_channels)
    scores = scores.sigmoid() if head.use_sigmoid_cls else scores.softmax(dim=2)[..., :-1]
    return boxes, scores.transpose(1, 2)


def flatten_levels(levels: Sequence[Tensor], channels: int) -> Tensor:
    """Join the maps ``(N, A * channels, H, W)`` of all levels to ``(N, priors, channels)``."""
    flat = torch.cat([level.permute(0, 2, 3, 1).flatten(1) for level in levels], dim=1)
    return flat.reshape(flat.shape[0], -1, channels)
