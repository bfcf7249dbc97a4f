# SSD on HarDNet39DS for the digits of tools/dataset_converters/digits.py: minutes on two CPU cores.
_base_ = '../ssd512_hardnet68_coco.py'

input_size = 192
level_channels = (320, 640, 256)

model = dict(
    backbone=dict(arch='hardnet39ds'),
    neck=dict(
        in_channels=level_channels[:2],
        out_channels=level_channels,
        bridge_channels=256,
        bridge_dilation=1,
        level_strides=(2,),
        level_paddings=(1,),
        last_kernel_size=3,
    ),
    bbox_head=dict(
        num_classes=10,
        in_channels=level_channels,
        anchor_generator=dict(
            input_size=input_size,
            min_sizes=[20, 36, 60],
            max_sizes=[36, 60, 90],
            strides=[8, 16, 32],
            ratios=[[2], [2], [2]],
        ),
    ),
    test_cfg=dict(nms_pre=200),
)

# digits are what they are only upright and unmirrored: no crop, expansion or flip
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(input_size, input_size), keep_ratio=False),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(input_size, input_size), keep_ratio=False),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]

data_root = 'data/digits/'
metainfo = dict(classes=tuple('0123456789'))
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator

max_epochs = 4  # of 125 iterations
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.05),
)
param_scheduler = [
    dict(
        type='OneCycleLR',
        eta_max=2e-3,
        total_steps=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
        pct_start=0.2,
    )
]
default_hooks = dict(logger=dict(interval=25))
