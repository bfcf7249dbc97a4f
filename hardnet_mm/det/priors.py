"""Decoding of dense heads: from maps to the boxes and scores of all priors.

It is written for tracers: no boxes are chosen, nothing is computed in place, and the batch can stay
of any size.
"""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from torch import Tensor

# A convolution's weights as PyTorch makes them, uniform to 1 / sqrt(inputs), and no bias: what the
# original SSD's extra levels and heads start from.
PYTORCH_INIT = dict(
    type='Kaiming',
    layer='Conv2d',
    a=5**0.5,
    mode='fan_in',
    nonlinearity='leaky_relu',
    distribution='uniform',
    bias=0,
)


def decode_priors(
    head: BaseDenseHead,
    logits: Sequence[Tensor],
    deltas: Sequence[Tensor],
    image_size: Sequence[int],
    last_pixel: Sequence[float] = (0, 0),
) -> tuple[Tensor, Tensor]:
    """Return the boxes and scores of all priors, level by level, row by row.

    The values are those that mmdet's ``BaseDenseHead`` computes for the boxes that it keeps.

    Args:
        head (BaseDenseHead): A head with a ``prior_generator`` and a ``bbox_coder``.
        logits (Sequence[Tensor]): Of each level, ``(N, A * cls_out_channels, H, W)``, for A priors
            of a position.
        deltas (Sequence[Tensor]): Of each level, ``(N, A * 4, H, W)``.
        image_size (Sequence[int]): Height and width of the image in pixels, which boxes are clipped
            to where ``bbox_coder.clip_border`` says so.
        last_pixel (Sequence[float]): Width and height, in pixels, that a box is longer than the
            head's, which ends before it. Defaults to (0, 0).

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
        height, width = map(int, image_size)
        limits = boxes.new_tensor([width, height, width, height])
        boxes = torch.minimum(boxes.clamp(min=0), limits)
    scores = flatten_levels(logits, head.cls_out_channels)
    scores = scores.sigmoid() if head.use_sigmoid_cls else scores.softmax(dim=2)[..., :-1]
    return boxes, scores.transpose(1, 2)


def flatten_levels(levels: Sequence[Tensor], channels: int) -> Tensor:
    """Return maps ``(N, A * channels, H, W)`` of each level as one ``(N, priors, channels)``."""
    flat = torch.cat([level.permute(0, 2, 3, 1).flatten(1) for level in levels], dim=1)
    return flat.reshape(flat.shape[0], -1, channels)
