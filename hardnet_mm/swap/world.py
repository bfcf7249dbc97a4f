"""A random scene for 3-D detectors: an image, a point cloud, and two objects with their boxes."""

import numpy as np
import torch
from mmengine.registry import TRANSFORMS

from .places import kind_of

# Centre of the bottom (right, down, forward), length, height, width, in metres; yaw; velocity.
BOXES = ([-2, 1, 12, 3.9, 1.6, 1.6, 0.2, 0, 0], [3, 1, 20, 1, 1.7, 1, 1.5, 0, 0])
POINTS = 2000
LOW, HIGH = (0, -20, -3), (40, 20, 1)  # of the points: forward, left, up, in metres
# From the axes of a lidar (forward, left, up) and of a depth camera (right, forward, up) to those
# of a camera (right, down, forward).
FROM_LIDAR = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float32)
FROM_DEPTH = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=np.float32)


def scene(data, size, label):
    """Return a random scene as mmdet3d's transforms that read files leave it.

    Args:
        data (ConfigDict): A data set of mmdet3d, whose pipeline says what is loaded.
        size (tuple[int]): Height and width of the image.
        label (int): Class of the two objects.

    Returns:
        dict: A sample for the rest of the pipeline.
    """
    from mmdet3d.structures import CameraInstance3DBoxes, get_box_type

    boxes = torch.tensor(BOXES)
    if kind_of(data) != 'NuScenesDataset':
        boxes = boxes[:, :7]  # the others have no velocities
    boxes = CameraInstance3DBoxes(boxes, box_dim=boxes.shape[1])
    _, mode = get_box_type(data.get('box_type_3d', 'LiDAR'))
    world = boxes.convert_to(mode)
    sample = dict(
        gt_bboxes_3d=world, gt_labels_3d=np.full(len(BOXES), label), box_type_3d=type(world),
        box_mode_3d=mode, bbox3d_fields=['gt_bboxes_3d'],
    )  # fmt: skip
    loaders = [part for part in data.pipeline if 'Load' in kind_of(part)]
    if any('Image' in kind_of(part) for part in loaders):
        sample.update(_image(boxes, size, label))
    loaders = [part for part in loaders if kind_of(part).startswith('LoadPoints')]
    if loaders:
        sample['points'] = _points(len(TRANSFORMS.build(dict(loaders[-1])).use_dim))
    return sample


def _image(boxes, size, label):
    """Return an image, its camera, and boxes in it. The camera sees 53 degrees in width."""
    height, width = size
    rows = [[width, 0, width / 2, 0], [0, width, height / 2, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    camera = np.array(rows, dtype=np.float32)
    corners, centers = boxes.corners.numpy(), boxes.gravity_center.numpy()
    corners = _project(corners, camera)
    labels = np.full(len(BOXES), label)
    return dict(
        img=np.random.randint(0, 256, (*size, 3), dtype=np.uint8), img_path='random',
        img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), cam2img=camera,
        lidar2img=camera @ FROM_LIDAR, depth2img=camera @ FROM_DEPTH,
        gt_bboxes=np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1),
        gt_bboxes_labels=labels, attr_labels=np.zeros_like(labels),
        centers_2d=_project(centers, camera), depths=centers[:, 2],
    )  # fmt: skip


def _project(points, camera):
    """Return the positions of points in the image, (..., 2) in x and y, in pixels."""
    pixels = points @ camera[:3, :3].T
    return pixels[..., :2] / pixels[..., 2:]


def _points(columns):
    """Return points of a lidar, with as many columns as the last loader keeps."""
    from mmdet3d.structures import LiDARPoints

    points = torch.rand(POINTS, columns)
    low, high = torch.tensor(LOW), torch.tensor(HIGH)
    points[:, :3] = low + points[:, :3] * (high - low)
    return LiDARPoints(points, points_dim=columns)
