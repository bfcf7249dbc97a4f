"""Overlaps of boxes."""

from .operator import operator, widened

MODES = ('iou', 'iof')  # mmcv's numbers of them


@operator("mmcv's own for parrots", 'compiled, CPU', bboxes1='N 4', bboxes2='M 4')
def bbox_overlaps(bboxes1, bboxes2, ious, mode, aligned, offset):
    """Fill ``ious`` ``(N, M)``, or ``(N,)`` of pairs where ``aligned``.

    Args:
        bboxes1 (Tensor): ``(N, 4)``, x1 y1 x2 y2.
        bboxes2 (Tensor): ``(M, 4)``.
        ious (Tensor): Filled in place.
        mode (int): Index in :data:`MODES`: relative to the union, or to the first box.
        aligned (bool): Whether boxes are compared in pairs, not all with all.
        offset (int): 0, or 1 where the box's last pixel counts: width is ``x2 - x1 + 1``.
    """
    from mmcv.ops.bbox import _bbox_overlaps_cpu

    if aligned and len(bboxes1) != len(bboxes2):
        raise RuntimeError(
            f'bbox_overlaps: pairs need as many boxes, got {len(bboxes1)} and {len(bboxes2)}'
        )
    ious.copy_(_bbox_overlaps_cpu(*widened(bboxes1, bboxes2), MODES[mode], aligned, offset))
