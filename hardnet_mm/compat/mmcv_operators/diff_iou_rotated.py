"""Sorts the corners of the intersection of two rotated boxes, for a differentiable IoU."""

import math

import torch

from .operator import operator, widened

CORNERS = 8  # of both boxes, before the crossings of their edges; and the most that they share
REFERENCE = 'its CUDA kernel, compiled for a CPU; gradcheck'


@operator('angles, sorted', REFERENCE, slow=True, vertices='B N M 2')
def diff_iou_rotated_sort_vertices_forward(vertices, mask, num_valid):
    """Return the corners of the intersection in order.

    Args:
        vertices (Tensor): ``(B, N, M, 2)``, the corners of both boxes and the crossings of their
            edges, minus their mean.
        mask (Tensor): ``(B, N, M)``, bool, which of them are corners of the intersection.
        num_valid (Tensor): ``(B, N)``, int32, their number, for compiled code.

    Returns:
        Tensor: ``(B, N, 9)``, int32: indices in the order of angles, then the first index again,
        then the index of an invalid crossing as filling. Of equal vertices the first one is used.
    """
    name = 'diff_iou_rotated_sort_vertices_forward'
    if tuple(mask.shape) != tuple(vertices.shape[:3]) or mask.dtype != torch.bool:
        raise RuntimeError(
            f'{name}: mask must be bool of the shape {tuple(vertices.shape[:3])}, got {mask.dtype} '
            f'{tuple(mask.shape)}'
        )
    if vertices.shape[2] <= CORNERS:
        raise RuntimeError(
            f'{name}: vertices must be more than the {CORNERS} corners of both boxes, got '
            f'{vertices.shape[2]}'
        )
    (vertices,) = widened(vertices)
    index, angle = _sorted(vertices, _distinct(vertices, mask))
    count = angle.isfinite().sum(dim=-1, keepdim=True)
    if vertices.numel() and (count > CORNERS).any():
        index, count = _spread(vertices, index, count)
    # No crossing is a corner everywhere: what two boxes share has at most eight corners.
    none = CORNERS + (~mask[..., CORNERS:]).int().argmax(dim=-1, keepdim=True)
    places = torch.arange(CORNERS + 1, device=mask.device)
    index = index[..., : CORNERS + 1]
    index = torch.where(places < count, index, torch.where(places == count, index[..., :1], none))
    return torch.where(count < 3, none, index).int()


def _sorted(vertices, there):
    """Return indices by angle, from 0 to 2 pi, with invalid vertices last; and the angles."""
    angle = torch.atan2(vertices[..., 1], vertices[..., 0]) % (2 * math.pi)
    angle = torch.where(there, angle, torch.full_like(angle, torch.inf)).sort(dim=-1)
    return angle.indices, angle.values


def _distinct(vertices, mask):
    """Return the mask without vertices that equal an earlier one."""
    same = (vertices[..., :, None, :] == vertices[..., None, :, :]).all(dim=-1)
    same = same & mask[..., None, :]
    return mask & ~same.tril(diagonal=-1).any(dim=-1)


def _spread(vertices, index, count):
    """Return the eight vertices that are farthest from their predecessors, if there are more."""
    places = torch.arange(index.shape[-1], device=index.device)
    there = places < count
    sorted_ = vertices.gather(2, index[..., None].expand(-1, -1, -1, 2))
    last = sorted_.gather(2, (count - 1).clamp(min=0)[..., None].expand(-1, -1, 1, 2))
    before = torch.cat([last, sorted_[..., :-1, :]], dim=2)
    step = ((sorted_ - before) ** 2).sum(dim=-1)
    step = torch.where(there, step, torch.full_like(step, -1))
    chosen = step.argsort(dim=-1, descending=True)[..., :CORNERS].sort(dim=-1).values
    kept = torch.cat([index.gather(2, chosen), index[..., CORNERS:]], dim=-1)
    return kept, count.clamp(max=CORNERS)
