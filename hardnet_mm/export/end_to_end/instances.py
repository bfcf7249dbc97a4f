"""Conversion of a file's detections to the toolbox's data structures."""

import numpy as np
import torch
from mmengine.structures import InstanceData


def set_instances(sample, boxes, scores, labels):
    """Set a sample's predictions, with boxes converted to pixels of the original image.

    The tested image is the original image, scaled and, in mmdet's test pipeline of CenterNet,
    placed on a larger canvas. ``border`` has the top, bottom, left and right of the image there.
    """
    boxes = torch.from_numpy(np.ascontiguousarray(boxes))
    scale = boxes.new_tensor(sample.get('scale_factor', (1.0, 1.0))).repeat(2)
    corner = boxes.new_tensor(np.asarray(sample.get('border', np.zeros(4)))[[2, 0, 2, 0]])
    sample.pred_instances = InstanceData(
        bboxes=(boxes - corner) / scale,
        scores=torch.from_numpy(np.ascontiguousarray(scores)),
        labels=torch.from_numpy(np.ascontiguousarray(labels).astype(np.int64)),
    )
