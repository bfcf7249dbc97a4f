"""Decoding of dense heads: from maps to the boxes and scores of all priors.

It is written for tracers: no boxes are chosen, nothing is computed in place, and the batch can stay
of any size.
"""

import torch


def decode_priors(head, logits, deltas, image_size):
    """Return the boxes and scores of all priors, level by level, row by row.

    The values are those that mmdet's ``BaseDenseHead`` computes for the boxes that it keeps.

    Args:
        head (BaseDenseHead): A head with a ``prior_generator`` and a ``bbox_coder``.
        logits (Sequence[Tensor]): Of each level, ``(N, A * cls_out_channels, H, W)``, for A priors
            of a position.
        deltas (Sequence[Tensor]): Of each level, ``(N, A * 4, H, W)``.
        image_size (Sequence[int]): Height and width of the image in pixels, which boxes are clipped
            to where ``bbox_coder.clip_border`` says so.

    Returns:
        tuple[Tensor]: Boxes ``(N, P, 4)``, x1 y1 x2 y2 in pixels, and scores ``(N, classes, P)`` in
        0..1, for P priors of all levels.
    """
    sizes = [level.shape[-2:] for level in logits]
    priors = torch.cat(
        head.prior_generator.grid_priors(sizes, dtype=logits[0].dtype, device=logits[0].device)
    )
    deltas = flatten_levels(deltas, 4)
    batch = deltas.shape[0]  # not len(): a tracer would take it for a constant
    priors = priors.expand(batch, -1, -1).reshape(-1, priors.shape[1])
    boxes = head.bbox_coder.decode(priors, deltas.reshape(-1, 4)).reshape(batch, -1, 4)
    if head.bbox_coder.clip_border:
        height, width = map(int, image_size)
        limits = boxes.new_tensor([width, height, width, height])
        boxes = torch.minimum(boxes.clamp(min=0), limits)
    scores = flatten_levels(logits, head.cls_out_channels)
    scores = scores.sigmoid() if head.use_sigmoid_cls else scores.softmax(dim=2)[..., :-1]
    return boxes, scores.transpose(1, 2)


def flatten_levels(levels, channels):
    """Return maps ``(N, A * channels, H, W)`` of each level as one ``(N, priors, channels)``."""
    levels = [level.permute(0, 2, 3, 1).flatten(1) for level in levels]
    levels = torch.cat(levels, dim=1)
    return levels.reshape(levels.shape[0], -1, channels)
