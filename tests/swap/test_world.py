"""Scenes for 3-D detectors, where mmdet3d is installed."""

import numpy as np
import pytest
from mmengine.config import Config

from hardnet_mm.swap.trial import random_batch

pytest.importorskip('mmdet3d')
from mmdet3d.structures import LiDARInstance3DBoxes  # noqa: E402
from mmdet3d.utils import register_all_modules  # noqa: E402

LABELS = ['gt_bboxes_3d', 'gt_labels_3d']
IMAGE = ['img', 'gt_bboxes', 'gt_bboxes_labels', 'centers_2d', 'depths', 'attr_labels']


def batch(*transforms, keys, kind='KittiDataset', **settings):
    register_all_modules(init_default_scope=False)
    pipeline = [*transforms, dict(type='Pack3DDetInputs', keys=[*keys, *LABELS])]
    dataset = dict(type=kind, pipeline=pipeline, **settings)
    model = dict(bbox_head=dict(num_classes=3))
    settings = dict(default_scope='mmdet3d', model=model, train_dataloader=dict(dataset=dataset))
    return random_batch(Config(settings))


def project(points, matrix):
    pixels = np.c_[points, np.ones(len(points))] @ np.array(matrix).T
    return pixels[:, :2] / pixels[:, 2:3]


@pytest.mark.parametrize(
    'kind, coordinates, matrix',
    [('Camera', 9, 'cam2img'), ('LiDAR', 7, 'lidar2img'), ('Depth', 7, 'depth2img')],
)
def test_objects_are_where_the_image_shows_them(kind, coordinates, matrix):
    dataset = 'NuScenesDataset' if coordinates == 9 else 'KittiDataset'
    resize = dict(type='mmdet.Resize', scale=(1600, 900), keep_ratio=True)
    loader = dict(type='LoadImageFromFileMono3D')
    found = batch(loader, resize, keys=IMAGE, kind=dataset, box_type_3d=kind)
    for image, sample in zip(found['inputs']['img'], found['data_samples']):
        assert image.shape == (3, 128, 128)
        objects = sample.gt_instances_3d
        assert objects.bboxes_3d.tensor.shape == (2, coordinates)
        assert isinstance(objects.bboxes_3d, sample.box_type_3d)
        centers = project(objects.bboxes_3d.gravity_center.numpy(), sample.metainfo[matrix])
        np.testing.assert_allclose(objects.centers_2d, centers, rtol=1e-4)
        low, high = sample.gt_instances.bboxes.split(2, dim=1)
        assert (low < objects.centers_2d).all() and (objects.centers_2d < high).all()
        assert (0 <= low).all() and (high <= 128).all()
        assert objects.labels_3d.tolist() == sample.gt_instances.labels.tolist() == [1, 1]


def test_points_have_the_columns_of_the_last_loader():
    first = dict(type='LoadPointsFromFile', coord_type='LIDAR', load_dim=5, use_dim=5)
    sweeps = dict(type='LoadPointsFromMultiSweeps')  # keeps four if its config states none
    found = batch(first, sweeps, keys=['points'])
    assert [points.shape for points in found['inputs']['points']] == [(2000, 4)] * 2


def test_a_sample_of_points_knows_of_no_image():
    loader = dict(type='LoadPointsFromFile', coord_type='LIDAR', load_dim=5, use_dim=[0, 1, 2, 4])
    flip = dict(type='RandomFlip3D', flip_ratio_bev_horizontal=0.5)
    stored = dict(type='ObjectSample', db_sampler=dict(info_path='missing.pkl'))
    found = batch(loader, stored, flip, keys=['points'])
    for points, sample in zip(found['inputs']['points'], found['data_samples']):
        assert points.shape == (2000, 4)
        boxes = sample.gt_instances_3d.bboxes_3d
        assert isinstance(boxes, LiDARInstance3DBoxes)
        assert (boxes.tensor[:, 0] > points[:, 0].min()).all()
