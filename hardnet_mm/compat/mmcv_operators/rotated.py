"""Overlaps and suppression of rotated boxes and quadrilaterals.

To find which corners are inside a quadrilateral, compiled code assumes that it is a rectangle. The
code here does not, so the overlaps of quadrilaterals that are not rectangles are exact.
"""

import torch

from .bilinear import in_steps
from .operator import operator, widened
from .polygons import area, near, shared_area

USING = 'corners sorted by angle'
MODES = ('iou', 'iof')  # mmcv's numbers of them
SMALLEST = 1e-14  # area below which a box overlaps nothing, as in mmcv
BLOCK = 64  # boxes whose overlaps with all others are computed at once
NUMBERS = 500  # that a pair takes in shared_area, about


@operator(USING, 'compiled, CPU', slow=True, boxes1='N 5+', boxes2='M 5+')
def box_iou_rotated(boxes1, boxes2, ious, mode_flag, aligned):
    """Fill ``ious`` ``(N M,)``, or ``(N,)`` of pairs where ``aligned``.

    Args:
        boxes1 (Tensor): ``(N, 5)``: centre x and y, width, height, angle in radians, clockwise.
            More columns, as the scores that mmrotate's metrics leave there, are ignored.
        boxes2 (Tensor): ``(M, 5)``.
        ious (Tensor): Filled in place.
        mode_flag (int): Index in :data:`MODES`: relative to the union, or to the first box.
        aligned (bool): Whether boxes are compared in pairs, not all with all.
    """
    _fill(
        'box_iou_rotated',
        corners_of(*widened(boxes1[:, :5])),
        corners_of(*widened(boxes2[:, :5])),
        ious,
        mode_flag,
        aligned,
    )


@operator(
    USING,
    'compiled, CPU, of rectangles; float64 clipping',
    slow=True,
    boxes1='N 8+',
    boxes2='M 8+',
)
def box_iou_quadri(boxes1, boxes2, ious, mode_flag, aligned):
    """Do the same as :func:`box_iou_rotated` for convex quadrilaterals, x1 y1 to x4 y4."""
    corners = widened(boxes1[:, :8], boxes2[:, :8])
    first, second = (boxes.unflatten(1, (4, 2)) for boxes in corners)
    _fill('box_iou_quadri', first, second, ious, mode_flag, aligned)


@operator(USING, 'compiled, CPU', slow=True, scores='N')
def nms_rotated(dets, scores, order, dets_sorted, labels, iou_threshold, multi_label):
    """Return the indices of the selected boxes, best first.

    Args:
        dets (Tensor): ``(N, 5)`` as in :func:`box_iou_rotated`, or ``(N, 6)`` with a label. Boxes
            only suppress boxes with the same label.
        scores (Tensor): ``(N,)``.
        order (Tensor): ``(N,)``, for compiled code.
        dets_sorted (Tensor): As ``dets``, for compiled code.
        labels (Tensor): ``(N,)`` or empty, for compiled code.
        iou_threshold (float): A box is suppressed if its IoU with a better one is at least this.
        multi_label (bool): Whether there are labels.

    Returns:
        Tensor: ``(K,)``, int64.
    """
    boxes = _numbers('nms_rotated', dets, 5, multi_label)
    return _suppress(corners_of(boxes[:, :5]), scores, iou_threshold, boxes[:, 5:])


@operator(USING, 'compiled, CPU, of rectangles', slow=True, scores='N')
def nms_quadri(dets, scores, order, dets_sorted, iou_threshold, multi_label):
    """Return the indices of the selected quadrilaterals, as :func:`nms_rotated` for boxes."""
    boxes = _numbers('nms_quadri', dets, 8, multi_label)
    return _suppress(boxes[:, :8].unflatten(1, (4, 2)), scores, iou_threshold, boxes[:, 8:])


def corners_of(boxes):
    """Return the corners of rotated boxes ``(N, 5)``, ``(N, 4, 2)``."""
    centre, size, angle = boxes[:, None, :2], boxes[:, 2:4], boxes[:, 4]
    across = torch.stack([angle.cos(), angle.sin()], dim=-1) * size[:, :1] / 2
    down = torch.stack([-angle.sin(), angle.cos()], dim=-1) * size[:, 1:] / 2
    corners = [-across - down, across - down, across + down, down - across]
    return centre + torch.stack(corners, dim=1)


def overlaps(first, second, mode='iou'):
    """Return the overlaps of pairs of convex polygons.

    Args:
        first (Tensor): ``(P, A, 2)``.
        second (Tensor): ``(P, B, 2)``.
        mode (str): Of :data:`MODES`. Defaults to ``'iou'``.

    Returns:
        Tensor: ``(P,)``.
    """
    middle = (first.mean(dim=1, keepdim=True) + second.mean(dim=1, keepdim=True)) / 2
    first, second = first - middle, second - middle  # small numbers have more digits to spare
    areas = area(first), area(second)
    shared = shared_area(first, second)
    total = areas[0] + areas[1] - shared if mode == 'iou' else areas[0]
    counts = (areas[0] >= SMALLEST) & (areas[1] >= SMALLEST)
    return torch.where(counts, shared / total, torch.zeros_like(shared))


def each_with_each(first, second, mode='iou'):
    """Return the overlaps of all polygons with all others, ``(N, M)``, by :func:`overlaps`."""
    result = first.new_zeros(len(first), len(second))
    rows, columns = near(first, second).nonzero(as_tuple=True)
    for part in in_steps(len(rows), NUMBERS):
        row, column = rows[part], columns[part]
        result[row, column] = overlaps(first[row], second[column], mode)
    return result


def _fill(name, first, second, ious, mode_flag, aligned):
    mode = MODES[mode_flag]
    if not aligned:
        ious.copy_(each_with_each(first, second, mode).flatten())
        return
    if len(first) != len(second):
        raise RuntimeError(f'{name}: pairs need as many boxes, got {len(first)} and {len(second)}')
    for part in in_steps(len(first), NUMBERS):
        ious[part] = overlaps(first[part], second[part], mode).to(ious)


def _numbers(name, dets, numbers, multi_label):
    wanted = numbers + bool(multi_label)
    if dets.dim() != 2 or dets.shape[1] != wanted or not dets.is_floating_point():
        raise RuntimeError(
            f'{name}: dets must be floating-point numbers of the shape (N, {wanted}), got '
            f'{dets.dtype} {tuple(dets.shape)}'
        )
    return widened(dets)[0]


def _suppress(polygons, scores, iou_threshold, labels):
    left = scores.sort(descending=True).indices
    keep = []
    while len(left):
        best = left[:BLOCK]
        goes = each_with_each(polygons[best], polygons[left]) >= iou_threshold
        goes &= (labels[best, None] == labels[left]).all(dim=2)
        stay = _staying(goes[:, : len(best)].tolist())
        keep.append(best[stay])
        left = left[BLOCK:][~goes[stay, len(best) :].any(dim=0)]
    return torch.cat(keep) if keep else left


def _staying(goes):
    """Return the boxes that no better box suppresses, best first, from ``goes[one][other]``."""
    gone, stay = set(), []
    for one, others in enumerate(goes):
        if one not in gone:
            stay.append(one)
            gone.update(other for other, goes_ in enumerate(others) if goes_)
    return stay
