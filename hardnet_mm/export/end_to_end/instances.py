"""Detections of a file as the toolbox has them."""

import numpy as np
import torch
from mmengine.structures import InstanceData


def set_instances(sample, boxes, scores, labels):
    """Set a sample's predictions, their boxes moved from the tested image to its own pixels.

    The tested image is the own one scaled, and then, as mmdet's test pipeline of CenterNet does,
    put on a larger canvas: ``border`` is top, bottom, left and right of it there.
    """
    boxes = torch.from_numpy(np.ascontiguousarray(boxes))
    scale = boxes.new_tensor(sample.get('scale_factor', (1.0, 1.0))).repeat(2)
    corner = boxes.new_tensor(np.asarray(sample.get('border', np.zeros(4)))[[2, 0, 2, 0]])
    sample.pred_instances = InstanceData(
        bboxes=(boxes - corner) / scale,
        scores=torch.from_numpy(np.ascontiguousarray(scores)),
        labels=torch.from_numpy(np.ascontiguousarray(labels).astype(np.int64)),
    )
