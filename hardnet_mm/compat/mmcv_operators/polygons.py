"""Areas of the intersections of convex polygons, for many pairs at a time."""

import torch

ON_EDGE = 1e-6  # relative to the polygons' size: a corner this far outside still counts as inside


def shared_area(first, second):
    """Return the area of the intersection of two convex polygons.

    The corners of the intersection are the corners of each polygon that are inside the other, and
    the crossings of edges. They are sorted by their angle around their mean. The area is then
    robust to rounding and to repeated corners.

    Args:
        first (Tensor): ``(P, A, 2)``, corners in order, clockwise or not. Corners may be repeated.
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
    # Invalid points come last, and are replaced by the first point, which adds no area.
    count = there.sum(dim=1, keepdim=True)
    ranks = torch.arange(order.shape[1], device=order.device)
    order = torch.where(ranks < count, order, order[:, :1])
    return area(points.gather(1, order[..., None].expand_as(points)))


def area(corners):
    """Return the areas of polygons, ``(..., A, 2)``."""
    return signed_area(corners).abs()


def signed_area(corners):
    """Return the areas of polygons by the shoelace formula; negative if they turn from y to x."""
    return cross(corners, corners.roll(-1, dims=-2)).sum(dim=-1) / 2


def near(first, second):
    """Return which polygons have touching bounding boxes, ``(N, M)``; others do not intersect."""
    low = torch.maximum(first.amin(dim=1)[:, None], second.amin(dim=1))
    high = torch.minimum(first.amax(dim=1)[:, None], second.amax(dim=1))
    return (low <= high).all(dim=-1)


def cross(a, b):
    """Return the cross products of vectors, ``(..., 2)``."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _crossings(first, second):
    """Return the crossings of each pair of edges, ``(P, A B, 2)``, and whether they exist."""
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
    """Return whether points ``(P, A, 2)`` are in a convex polygon ``(P, B, 2)`` or on its edges."""
    edge = (polygon.roll(-1, dims=1) - polygon)[:, None]
    to_point = points[:, :, None] - polygon[:, None]
    side = cross(edge, to_point)
    size = (polygon.amax(dim=1) - polygon.amin(dim=1)).amax(dim=1)[:, None, None]
    slack = ON_EDGE * size**2
    inside = (side >= -slack).all(dim=2) | (side <= slack).all(dim=2)
    return inside & (size[..., 0] > 0)  # a polygon of one point has no side to be on
