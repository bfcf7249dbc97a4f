"""The smallest rectangle around a point set. One of its sides is on an edge of the convex hull."""

import math

import torch

from .convex import convex_hull, precise, taken
from .operator import operator

REFERENCE = 'its CUDA kernel, compiled for a CPU'
SETS = 2**13  # computed at once


@operator("the hull's edges", REFERENCE, slow=True, pointsets='N 18', polygons='N 8')
def min_area_polygons(pointsets, polygons):
    """Fill ``polygons`` ``(N, 8)`` with the smallest rectangle around each set, x1 y1 to x4 y4.

    Args:
        pointsets (Tensor): ``(N, 18)``, x1 y1 to x9 y9.
        polygons (Tensor): Filled in place.
    """
    sets = precise(pointsets).view(-1, 9, 2)
    for part, filled in zip(sets.split(SETS), polygons.split(SETS)):
        filled.copy_(_rectangles(taken(part, convex_hull(part))).flatten(1))


def _rectangles(hulls):
    """Return the corners ``(P, 4, 2)`` of the rectangles around hulls ``(P, A, 2)``."""
    edges = hulls.roll(-1, dims=1) - hulls
    angles = torch.atan2(edges[..., 1], edges[..., 0]) % (math.pi / 2)
    axes = torch.stack([angles.cos(), angles.sin(), -angles.sin(), angles.cos()], dim=-1)
    axes = axes.unflatten(-1, (2, 2))  # P, edge, axis, number
    turned = (axes[:, :, None] * hulls[:, None, :, None]).sum(dim=-1)  # P, edge, corner, axis
    low, high = turned.amin(dim=2), turned.amax(dim=2)
    # Edges after the last corner have no length, and are ignored unless all have none.
    none = (edges == 0).all(dim=-1) & (edges != 0).flatten(1).any(dim=1, keepdim=True)
    areas = torch.where(none, torch.inf, (high - low).prod(dim=-1))
    best = areas.argmin(dim=1)[:, None, None]
    low, high = (edge.gather(1, best.expand(-1, 1, 2))[:, 0] for edge in (low, high))
    axes = axes.gather(1, best[..., None].expand(-1, 1, 2, 2))[:, 0]
    x = torch.stack([high[:, 0], low[:, 0], low[:, 0], high[:, 0]], dim=1)
    y = torch.stack([low[:, 1], low[:, 1], high[:, 1], high[:, 1]], dim=1)
    return x[..., None] * axes[:, None, 0] + y[..., None] * axes[:, None, 1]
