"""The squared chamfer distance of point sets in the plane, as in Oriented RepPoints.

Li et al., Oriented RepPoints for Aerial Object Detection, CVPR 2022.
"""

import torch

from .bilinear import in_steps
from .operator import operator, widened

REFERENCE = 'its CUDA kernel, compiled for a CPU; gradcheck'


@operator('differences, min', REFERENCE, slow=True, xyz1='B N 2', xyz2='B M 2')
def chamfer_distance_forward(xyz1, xyz2, dist1, dist2, idx1, idx2):
    """Fill in the squared distance of each point to the nearest point of the other set.

    Args:
        xyz1 (Tensor): ``(B, N, 2)``.
        xyz2 (Tensor): ``(B, M, 2)``.
        dist1 (Tensor): ``(B, N)``, filled; unchanged if the other set is empty.
        dist2 (Tensor): ``(B, M)``, filled.
        idx1 (Tensor): ``(B, N)``, int32, filled with the index of the nearest point.
        idx2 (Tensor): ``(B, M)``, int32, filled.
    """
    first, second = widened(xyz1, xyz2)
    if not xyz1.shape[1] or not xyz2.shape[1]:
        return
    for part in in_steps(len(first), 2 * first.shape[1] * second.shape[1]):
        apart = first[part, :, None] - second[part, None]
        squared = (apart * apart).sum(dim=-1)
        for dim, dist, index in ((2, dist1, idx1), (1, dist2, idx2)):
            nearest = squared.min(dim=dim)
            dist[part] = nearest.values.to(dist)
            index[part] = nearest.indices.to(index)


@operator('gather, scatter', REFERENCE, slow=True, xyz1='B N 2', xyz2='B M 2')
def chamfer_distance_backward(xyz1, xyz2, idx1, idx2, graddist1, graddist2, gradxyz1, gradxyz2):
    """Fill ``gradxyz1`` and ``gradxyz2``, the gradients of :func:`chamfer_distance_forward`."""
    first, second = widened(xyz1, xyz2)
    totals = torch.zeros_like(first), torch.zeros_like(second)
    if first.shape[1] and second.shape[1]:
        _add(totals, (first, second), idx1, graddist1)
        _add(totals[::-1], (second, first), idx2, graddist2)
    gradxyz1.copy_(totals[0])
    gradxyz2.copy_(totals[1])


def _add(totals, points, index, grads):
    """Add the gradients of the distances of one set to those of both."""
    index = index.long()[..., None].expand(-1, -1, 2)
    grads = 2 * grads.to(points[0])[..., None] * (points[0] - points[1].gather(1, index))
    totals[0].add_(grads)
    totals[1].scatter_add_(1, index, -grads)
