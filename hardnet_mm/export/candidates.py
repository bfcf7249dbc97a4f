"""All boxes and scores from which a detector chooses, for comparing its detections.

Two programs round differently. If scores are nearly equal, they can therefore choose differently:
which of two overlapping boxes is suppressed, or which box is the last of a list. Candidates help to
distinguish such choices from errors.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torchvision.ops import box_iou

IOU_MARGIN = 1e-3  # an overlap this close to the limit may be on either side of it


class Candidates(NamedTuple):
    """All candidates of one image, before any is dropped.

    Attributes:
        boxes (Tensor): x1 y1 x2 y2 in pixels of the tested image, ``(P, 4)``.
        scores (Tensor): Scores, ``(classes, P)``.
        margins (Tensor): The change of a score at which a threshold or a limit on the number of
            candidates would decide differently, ``(classes, P)``.
        most (int): Maximum number of detections per image.
        most_of_class (int): Maximum number of detections per class.
        decided_by (callable): Maps the index of a candidate to two masks ``(P,)``: candidates that
            suppress it if their scores are higher, and those among them that are a close decision.
        greedy (bool): Whether only chosen candidates suppress others, as in non-maximum
            suppression. For peaks, any candidate does. Defaults to True.
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
    """Return the ``decided_by`` of peaks in a ``kernel`` x ``kernel`` neighbourhood."""
    rows, columns = torch.arange(height)[:, None], torch.arange(width)

    def decided_by(index):
        row, column = divmod(int(index), width)
        near = ((rows - row).abs() <= kernel // 2) & ((columns - column).abs() <= kernel // 2)
        return near.flatten(), torch.zeros(height * width, dtype=torch.bool)

    return decided_by
