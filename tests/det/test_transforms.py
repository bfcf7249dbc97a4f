"""The boxes and the augmentation of the original SSD program."""

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config
from mmengine.registry import init_default_scope

from hardnet_mm.det.transforms import (
    AugmentOrKeep,
    InclusiveBoxes,
    SSDColorDistortion,
    SSDCrop,
    SSDExpand,
    TrainIgnoredBoxes,
)


def loaded(boxes, size=(100, 200), image=None):
    """What loading leaves of an image of height and width, and of its boxes."""
    image = np.zeros((*size, 3), np.uint8) if image is None else image
    count = len(boxes)
    return dict(
        img=image,
        img_shape=image.shape[:2],
        gt_bboxes=HorizontalBoxes(torch.tensor(boxes).reshape(-1, 4).float()),
        gt_bboxes_labels=np.arange(count),
        gt_ignore_flags=np.arange(count) % 2 == 1,
    )


def inclusive_by_the_book(x, y, w, h, width, height):
    """A COCO box as the original reads it (data/coco.py)."""
    x1, y1 = max(0, x), max(0, y)
    x2 = min(width - 1, x1 + max(0, w - 1))
    y2 = min(height - 1, y1 + max(0, h - 1))
    return [x1, y1, x2, y2]


def test_boxes_end_at_their_last_pixel():
    coco = [
        [10, 20, 30, 40],
        [0.5, 1.25, 1, 0.5],
        [150, 60, 50, 40],
        [-2, -3, 30, 20],
        [199, 99, 9, 9],
    ]
    results = loaded([[x, y, x + w, y + h] for x, y, w, h in coco])
    got = InclusiveBoxes()(results)
    wanted = torch.tensor([inclusive_by_the_book(*box, 200, 100) for box in coco]).float()
    torch.testing.assert_close(got['gt_bboxes'].tensor, wanted)
    assert got['inclusive_boxes'] is True


def test_ignored_boxes_train():
    flags = TrainIgnoredBoxes()(loaded([[0, 0, 5, 5]] * 4))['gt_ignore_flags']
    assert flags.dtype == bool and not flags.any() and len(flags) == 4
