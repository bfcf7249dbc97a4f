"""Tests which points are in which quadrilaterals, by counting the crossings of a ray."""

import torch

from .bilinear import in_steps
from .operator import operator, widened

REFERENCE = 'its CUDA kernel, compiled for a CPU'


@operator('crossings of a ray', REFERENCE, points='B 2', polygons='M 8', output='B M')
def points_in_polygons_forward(points, polygons, output):
    """Fill ``output`` ``(B, M)`` with 1 where a point lies in a quadrilateral, else with 0.

    Args:
        points (Tensor): ``(B, 2)``, x and y.
        polygons (Tensor): ``(M, 8)``, x1 y1 to x4 y4, convex or not.
        output (Tensor): Filled in place. A point on an edge is treated as in mmcv, which ignores
            the edges after that one.
    """
    points, polygons = widened(points, polygons)
    corners = polygons.unflatten(1, (4, 2))
    for part in in_steps(len(points), 8 * len(polygons)):
        output[part] = _inside(points[part], corners).to(output)


def _inside(points, corners):
    """Return whether points are in quadrilaterals, ``(B, M)``; ``corners`` are ``(M, 4, 2)``."""
    x, y = points[:, :1], points[:, 1:]
    count = torch.zeros(len(points), len(corners), dtype=torch.long, device=points.device)
    on_border = torch.zeros_like(count, dtype=torch.bool)
    for corner in range(4):
        end_x, end_y = corners[:, corner].unbind(dim=1)
        start_x, start_y = corners[:, corner - 1].unbind(dim=1)
        crosses = (end_y < y) != (start_y < y)
        at = end_x + (y - end_y) * (start_x - end_x) / (start_y - end_y)
        on_border |= ((end_x == x) & (end_y == y)) | ((start_x == x) & (start_y == y))
        on_border |= crosses & (at == x)
        count += crosses & (at > x) & ~on_border
    return count % 2 == 1
