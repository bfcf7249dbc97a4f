"""Feature refinement of R3Det: Yang et al., AAAI 2021."""

import torch

from .bilinear import in_steps, pooled
from .operator import gradients, operator, widened
from .rotated import corners_of

USING = 'bilinear samples, embedding_bag'
POINTS = (1, 5)  # a box's centre, or that and its corners


@operator(
    USING,
    'compiled, CPU',
    slow=True,
    features='N C H W',
    output='N C H W',
)
def rotated_feature_align_forward(features, best_bboxes, output, spatial_scale, points):
    """Fill ``output`` with the features plus the features at some points of each pixel's box.

    Args:
        features (Tensor): ``(N, C, H, W)``.
        best_bboxes (Tensor): ``(N, H, W, 5)``, or the same numbers in another shape, as in R3Det:
            centre **y and x**, width, height, angle in radians. This is mmcv's order.
        output (Tensor): ``(N, C, H, W)``, filled in place.
        spatial_scale (float): Scale of the map relative to the image.
        points (int): 1 for the centre of a box, 5 for its centre and corners.
    """
    (wide,) = widened(features)
    total = wide.clone(memory_format=torch.contiguous_format)
    for add, image, part in _sums(wide, best_bboxes, spatial_scale, points):
        total.view(*wide.shape[:2], -1)[image, :, part] += add(wide)
    output.copy_(total)


@operator(
    USING,
    'compiled, CPU',
    slow=True,
    top_grad='N C H W',
    bottom_grad='N C H W',
)
def rotated_feature_align_backward(top_grad, best_bboxes, bottom_grad, spatial_scale, points):
    """Fill ``bottom_grad`` with the gradient of :func:`rotated_feature_align_forward`."""
    (wide,) = widened(top_grad)
    total = wide.clone()
    zeros = torch.zeros_like(wide)
    for add, image, part in _sums(wide, best_bboxes, spatial_scale, points):
        total += gradients(add, [zeros], wide.flatten(2)[image, :, part])[0]
    bottom_grad.copy_(total)


def _sums(features, boxes, scale, points):
    """Yield functions that sum features at points of boxes, the image's index, and the pixels."""
    if points not in POINTS:
        raise RuntimeError(f'rotated_feature_align: points must be 1 or 5, got {points}')
    count, _, height, width = features.shape
    if boxes.numel() != count * height * width * 5 or not boxes.is_floating_point():
        raise RuntimeError(
            'rotated_feature_align: best_bboxes must be floating-point numbers of the shape '
            f'{(count, height, width, 5)}, got {boxes.dtype} {tuple(boxes.shape)}'
        )
    boxes = boxes.to(features).reshape(count, height * width, 5)
    boxes = torch.cat([boxes[..., :4] * scale, boxes[..., 4:]], dim=-1)
    boxes = boxes[..., [1, 0, 2, 3, 4]]  # mmcv reads the centre as y, x
    for image, every in enumerate(boxes):
        for part in in_steps(len(every), max(features.shape[1], 4 * points)):
            places = every[part, None, :2]
            if points > 1:
                places = torch.cat([places, corners_of(every[part])], dim=1)
            yield _sum(image, places), image, part


def _sum(image, places):
    def add(features):
        index = torch.full((1,), image, device=features.device)
        x, y = places[None].unbind(dim=-1)
        return (pooled(features, index, y, x) * places.shape[1])[0].t()

    return add
