# SSD512 on HarDNet68, as in lzx1413/PytorchSSD: model, normalisation and augmentation.
#
# From configs/_base_/ssd512_hardnet68.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, RandomChoice
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, RandomFlip, Resize
from mmengine.config import read_base

from hardnet_mm import HarDNet
from hardnet_mm.det import (
    AugmentOrKeep,
    ClippedSSDAnchorGenerator,
    HarDNetSSDHead,
    HarDNetSSDNeck,
    SSDColorDistortion,
    SSDCrop,
    SSDExpand,
    TrainIgnoredBoxes,
)

with read_base():
    from .mmdet_ssd300 import *

custom_imports = dict(imports=['hardnet_mm.det'])
input_size = 512
mean = [104, 117, 123]
level_channels = (320, 640, 512, 256, 256, 256, 256)
model.merge(
    dict(
        data_preprocessor=dict(mean=mean, bgr_to_rgb=False),
        backbone=dict(
            _delete_=True,
            type=HarDNet,
            arch='hardnet68',
            out_indices=(1, 2),
            ceil_mode=(False, True, False),
            act_cfg=dict(type='ReLU'),
        ),
        neck=dict(
            type=HarDNetSSDNeck,
            in_channels=(320, 640),
            out_channels=level_channels,
            level_strides=(2, 2, 2, 2, 1),
            level_paddings=(1, 1, 1, 1, 1),
            bridge_channels=640,
            bridge_dilation=4,
            last_kernel_size=4,
        ),
        bbox_head=dict(
            type=HarDNetSSDHead,
            in_channels=level_channels,
            anchor_generator=dict(
                _delete_=True,
                type=ClippedSSDAnchorGenerator,
                scale_major=False,
                input_size=512,
                min_sizes=[20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8],
                max_sizes=[51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72],
                strides=[8, 16, 32, 64, 128, 256, 512],
                ratios=[[2, 3], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
            ),
            bbox_coder=dict(clip_border=False),
        ),
        test_cfg=dict(nms_pre=100000, max_per_class=50),
    )
)
ssd_load = [
    dict(type=LoadImageFromFile),
    dict(type=LoadAnnotations, with_bbox=True),
    dict(type=TrainIgnoredBoxes),
]
ssd_augment = [
    dict(
        type=AugmentOrKeep,
        transforms=[
            dict(type=SSDCrop),
            dict(type=SSDColorDistortion),
            dict(type=SSDExpand, mean=mean),
            dict(type=RandomFlip, prob=0.5),
        ],
    ),
    dict(
        type=RandomChoice,
        transforms=[
            [dict(type=Resize, scale=(512, 512), keep_ratio=False, interpolation='bilinear')],
            [dict(type=Resize, scale=(512, 512), keep_ratio=False, interpolation='bicubic')],
            [dict(type=Resize, scale=(512, 512), keep_ratio=False, interpolation='area')],
            [dict(type=Resize, scale=(512, 512), keep_ratio=False, interpolation='nearest')],
            [dict(type=Resize, scale=(512, 512), keep_ratio=False, interpolation='lanczos')],
        ],
    ),
    dict(
        type=PackDetInputs,
        meta_keys=(
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'inclusive_boxes',
        ),
    ),
]
ssd_train_pipeline = [*ssd_load, *ssd_augment]
ssd_test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(512, 512), keep_ratio=False),
    dict(type=LoadAnnotations, with_bbox=True),
    dict(
        type=PackDetInputs,
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
