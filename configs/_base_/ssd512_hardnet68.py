# SSD512 on HarDNet68, as in lzx1413/PytorchSSD: model, normalisation and augmentation.
_base_ = 'mmdet::_base_/models/ssd300.py'

custom_imports = dict(imports=['hardnet_mm.det'])

input_size = 512
mean = [104, 117, 123]  # BGR
level_channels = (320, 640, 512, 256, 256, 256, 256)

model = dict(
    data_preprocessor=dict(mean=mean, std=[1, 1, 1], bgr_to_rgb=False),
    backbone=dict(
        _delete_=True,
        type='HarDNet',
        arch='hardnet68',
        out_indices=(1, 2),
        ceil_mode=(False, True, False),
        act_cfg=dict(type='ReLU'),
    ),
    neck=dict(
        type='HarDNetSSDNeck',
        in_channels=level_channels[:2],
        out_channels=level_channels,
        bridge_channels=640,
        bridge_dilation=4,
        level_strides=(2, 2, 2, 2, 1),
        level_paddings=(1, 1, 1, 1, 1),
        last_kernel_size=4,
    ),
    bbox_head=dict(
        type='HarDNetSSDHead',
        in_channels=level_channels,
        anchor_generator=dict(
            _delete_=True,
            type='ClippedSSDAnchorGenerator',
            scale_major=False,
            input_size=input_size,
            # for COCO; a level's small square has its size, its large square uses the next, too
            min_sizes=[20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8],
            max_sizes=[51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72],
            strides=[8, 16, 32, 64, 128, 256, 512],
            ratios=[[2, 3], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
        ),
        bbox_coder=dict(clip_border=False),
    ),
    test_cfg=dict(nms_pre=100_000, max_per_class=50),  # nms_pre: no limit in practice
)

ssd_load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='TrainIgnoredBoxes'),  # COCO's crowd regions, Pascal VOC's difficult objects
]
ssd_augment = [
    dict(
        type='AugmentOrKeep',
        transforms=[
            dict(type='SSDCrop'),
            dict(type='SSDColorDistortion'),
            dict(type='SSDExpand', mean=mean),
            dict(type='RandomFlip', prob=0.5),
        ],
    ),
    dict(
        type='RandomChoice',
        transforms=[
            [
                dict(
                    type='Resize',
                    scale=(input_size, input_size),
                    keep_ratio=False,
                    interpolation=interpolation,
                )
            ]
            for interpolation in ('bilinear', 'bicubic', 'area', 'nearest', 'lanczos')
        ],
    ),
    dict(
        type='PackDetInputs',
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
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(input_size, input_size), keep_ratio=False),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
