"""Convex hulls of small point sets, many at a time."""

import torch

from .polygons import cross


def precise(tensor):
    """Return a tensor in double precision, if its device supports it."""
    return tensor.float() if tensor.device.type == 'mps' else tensor.double()


def convex_hull(points):
    """Return the corners of each set's convex hull, in order.

    This is Jarvis's march: after each corner comes the point that has all other points on one side.
    It starts at the lowest y, and turns from x to y.

    Args:
        points (Tensor): ``(P, A, 2)``.

    Returns:
        Tensor: Indices of the corners, ``(P, A)``, int64; after the last corner, the first one is
        repeated.
    """
    count = points.shape[1]
    lowest = points[..., 1] == points[..., 1].amin(dim=1, keepdim=True)
    x = torch.where(lowest, points[..., 0], torch.full_like(points[..., 0], torch.inf))
    start = x.argmin(dim=1)
    corners, closed = [start], torch.zeros_like(start, dtype=torch.bool)
    first = _at(points, start)
    for _ in range(count - 1):
        following = _outermost(points, corners[-1])
        closed = closed | (_at(points, following) == first).all(dim=-1)
        corners.append(torch.where(closed, start, following))
    return torch.stack(corners, dim=1)


def taken(points, index):
    """Return the points ``(P, B, 2)`` of indices ``(P, B)``."""
    return points.gather(1, index[..., None].expand(-1, -1, 2))


def _at(points, index):
    return taken(points, index[:, None])[:, 0]


def _outermost(points, corner):
    """Return the point to which the line from a corner has no other point on its right."""
    here = _at(points, corner)
    best, to_best = corner, torch.zeros_like(here)
    for other in range(points.shape[1]):
        to_other = points[:, other] - here
        side = cross(to_best, to_other)
        farther = (to_other**2).sum(dim=-1) > (to_best**2).sum(dim=-1)
        better = (side < 0) | ((side == 0) & farther)
        best = torch.where(better, torch.full_like(best, other), best)
        to_best = torch.where(better[:, None], to_other, to_best)
    return best
