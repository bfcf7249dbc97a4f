"""Areas that convex polygons share, many pairs at a time."""

import torch

ON_EDGE = 1e-6  # of the polygons' size: how far out a corner may lie and count as inside


def shared_area(first, second):
    """Return the area that two convex polygons share.

    Its corners are those of either that lie in the other, and the points where edges cross. Sorted
    by their angle around their middle, they give the area, whatever their rounding, and however
    often a corner is among them.

    Args:
        first (Tensor): ``(P, A, 2)``, corners in order, either way round; the same corner may stand
            more than once.
        second (Tensor): ``(P, B, 2)``.

    Returns:
        Tensor: ``(P,)``.
    """
    points, there = zip(
        _crossings(first, second),
        (first, _inside(first, second)),
        (second, _inside(second, first)),
    )
    points, there = torch.cat(points, dim=1), torch.cat(there, dim=1)
    points = torch.where(there[..., None], points, torch.zeros_like(points))
    middle = points.sum(dim=1, keepdim=True) / there.sum(dim=1).clamp(min=1)[:, None, None]
    points = points - middle
    angle = torch.atan2(points[..., 1], points[..., 0]).detach()
    order = torch.where(there, angle, torch.full_like(angle, torch.inf)).argsort(dim=1)
    # Points that are not there come last, as the first one again: that adds no area.
    count = there.sum(dim=1, keepdim=True)
    ranks = torch.arange(order.shape[1], device=order.device)
    order = torch.where(ranks < count, order, order[:, :1])
    return area(points.gather(1, order[..., None].expand_as(points)))


def area(corners):
    """Return the areas of polygons, ``(..., A, 2)``."""
    return signed_area(corners).abs()


def signed_area(corners):
    """Return the areas of polygons by the shoelace formula, below zero if they turn y to x."""
    return cross(corners, corners.roll(-1, dims=-2)).sum(dim=-1) / 2


def near(first, second):
    """Tell which upright boxes around polygons touch, ``(N, M)``: the others share nothing."""
    low = torch.maximum(first.amin(dim=1)[:, None], second.amin(dim=1))
    high = torch.minimum(first.amax(dim=1)[:, None], second.amax(dim=1))
    return (low <= high).all(dim=-1)


def cross(a, b):
    """Return the cross products of vectors, ``(..., 2)``."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _crossings(first, second):
    """Return where each edge crosses each other one, ``(P, A B, 2)``, and whether it does."""
    start1, start2 = first[:, :, None], second[:, None]
    edge1 = (first.roll(-1, dims=1) - first)[:, :, None]
    edge2 = (second.roll(-1, dims=1) - second)[:, None]
    slope = cross(edge2, edge1)
    parallel = slope.abs() <= 1e-14
    slope = torch.where(parallel, torch.ones_like(slope), slope)
    along1 = cross(edge2, start2 - start1) / slope
    along2 = cross(edge1, start2 - start1) / slope
    there = ~parallel & (along1 >= 0) & (along1 <= 1) & (along2 >= 0) & (along2 <= 1)
    return (start1 + edge1 * along1[..., None]).flatten(1, 2), there.flatten(1, 2)


def _inside(points, polygon):
    """Tell whether points ``(P, A, 2)`` lie in a convex polygon ``(P, B, 2)``, edges included."""
    edge = (polygon.roll(-1, dims=1) - polygon)[:, None]
    to_point = points[:, :, None] - polygon[:, None]
    side = cross(edge, to_point)
    size = (polygon.amax(dim=1) - polygon.amin(dim=1)).amax(dim=1)[:, None, None]
    slack = ON_EDGE * size**2
    inside = (side >= -slack).all(dim=2) | (side <= slack).all(dim=2)
    return inside & (size[..., 0] > 0)  # a polygon of one point has no side to be on
