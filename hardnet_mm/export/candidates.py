"""All boxes and scores that a detector decides among: what its detections are compared by.

Two programs round differently, so where scores are nearly equal they decide otherwise: which of two
overlapping boxes stays, which box is the last one of a list. Candidates tell such decisions from
faults.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torchvision.ops import box_iou

IOU_MARGIN = 1e-3  # an overlap that near to the limit may be on either side of it


class Candidates(NamedTuple):
    """One image's, before any is dropped.

    Attributes:
        boxes (Tensor): x1 y1 x2 y2 in pixels of the tested image, ``(P, 4)``.
        scores (Tensor): ``(classes, P)``.
        margins (Tensor): How far a score would have to change for the candidate to be dropped, or
            no longer be, by a threshold or a limit on their number, ``(classes, P)``.
        most (int): How many detections an image has at most.
        most_of_class (int): How many of one class.
        decided_by (callable): Maps the number of a candidate to two masks ``(P,)``: which ones may
            suppress it if their scores are higher, and which of these may just as well not.
        greedy (bool): Whether only what is chosen itself suppresses others, as in non-maximum
            suppression, rather than any candidate, as at peaks. Defaults to True.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    margins: torch.Tensor
    most: int
    most_of_class: int
    decided_by: Callable
    greedy: bool = True


def suppressed_by_overlap(boxes, iou_threshold):
    """Return the ``decided_by`` of non-maximum suppression."""

    def decided_by(index):
        overlaps = box_iou(boxes[index : index + 1], boxes)[0]
        rivals = overlaps > iou_threshold - IOU_MARGIN
        return rivals, rivals & (overlaps < iou_threshold + IOU_MARGIN)

    return decided_by


def suppressed_by_neighbours(height, width, kernel):
    """Return the ``decided_by`` of peaks among ``kernel`` x ``kernel`` cells, row by row."""
    rows, columns = torch.arange(height)[:, None], torch.arange(width)

    def decided_by(index):
        row, column = divmod(int(index), width)
        near = ((rows - row).abs() <= kernel // 2) & ((columns - column).abs() <= kernel // 2)
        return near.flatten(), torch.zeros(height * width, dtype=torch.bool)

    return decided_by
