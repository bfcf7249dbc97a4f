"""Overlaps of point sets' convex hulls and quadrilaterals, and their gradients.

Li et al., Oriented RepPoints for Aerial Object Detection, CVPR 2022; Guo et al., Beyond
Bounding-Box: Convex-hull Feature Adaptation, CVPR 2021.
"""

import torch

from .bilinear import in_steps
from .convex import convex_hull, precise, taken
from .operator import gradients, operator
from .polygons import near, shared_area, signed_area

USING = 'corners sorted by angle'
REFERENCE = 'its CUDA kernel, compiled for a CPU; gradcheck'
SETS = 2**13  # whose hulls, or overlaps, are computed at once


@operator(USING, REFERENCE, slow=True, pointsets='N 18', polygons='K 8', ious='N K')
def convex_iou(pointsets, polygons, ious):
    """Fill ``ious`` ``(N, K)`` with the overlap of each hull with each quadrilateral.

    Args:
        pointsets (Tensor): ``(N, 18)``, x1 y1 to x9 y9.
        polygons (Tensor): ``(K, 8)``, x1 y1 to x4 y4, convex or not.
        ious (Tensor): Filled in place; zero where neither has an area.
    """
    sets, quadrilaterals = precise(pointsets).view(-1, 9, 2), precise(polygons).view(-1, 4, 2)
    hulls = torch.cat([taken(part, convex_hull(part)) for part in sets.split(SETS)])
    rows, columns = near(hulls, quadrilaterals).nonzero(as_tuple=True)
    ious.zero_()
    for row, column in zip(rows.split(SETS), columns.split(SETS)):
        shared, union = _areas(hulls[row], quadrilaterals[column])
        ious[row, column] = _quotient(shared, union).to(ious)


@operator(USING, REFERENCE, slow=True, pointsets='N 18', polygons='N 8', output='N 19')
def convex_giou(pointsets, polygons, output):
    """Fill ``output`` ``(N, 19)`` with the gradient of each point, and with the generalised IoU.

    Args:
        pointsets (Tensor): ``(N, 18)``, x1 y1 to x9 y9.
        polygons (Tensor): ``(N, 8)``, of the same row: x1 y1 to x4 y4, convex or not.
        output (Tensor): Filled in place; zero where neither has an area.
    """
    sets, quadrilaterals = precise(pointsets).view(-1, 9, 2), precise(polygons).view(-1, 4, 2)
    for part in in_steps(len(sets), 2**11):
        found = []

        def giou(points, part=part, found=found):
            found.append(_generalised(points, quadrilaterals[part]))
            return found[0]

        (grads,) = gradients(giou, [sets[part]], sets.new_ones(len(sets[part])))
        output[part] = torch.cat([grads.flatten(1), found[0].detach()[:, None]], dim=1).to(output)


def _generalised(points, quadrilaterals):
    """Return the generalised IoU of hulls ``(P, 9, 2)`` and quadrilaterals, ``(P,)``."""
    shared, union = _areas(taken(points, convex_hull(points.detach())), quadrilaterals)
    both = torch.cat([points, quadrilaterals], dim=1)
    around = signed_area(taken(both, convex_hull(both.detach()))).abs()
    return _quotient(shared, union) - _quotient(around - union, around)


def _areas(hulls, quadrilaterals):
    """Return the areas of intersection and union of hulls and quadrilaterals.

    A quadrilateral is divided into two triangles at its first corner. If it is not convex, the area
    of one of them is negative.
    """
    middle = hulls.detach().mean(dim=1, keepdim=True)  # small numbers have more digits to spare
    hulls, quadrilaterals = hulls - middle, quadrilaterals - middle
    triangles = quadrilaterals[:, [0, 1, 2]], quadrilaterals[:, [0, 2, 3]]
    total = signed_area(quadrilaterals)
    shared = sum(signed_area(t).sign() * shared_area(hulls, t) for t in triangles) * total.sign()
    return shared, signed_area(hulls).abs() + total.abs() - shared


def _quotient(part, whole):
    """Return the quotient, zero where the denominator is zero."""
    there = whole > 0
    return torch.where(there, part / torch.where(there, whole, torch.ones_like(whole)), 0 * part)
