# CenterNet on a small HarDNet for the digits of tools/dataset_converters/digits.py: from random
# weights, in minutes on two CPU cores. What COCO's config runs, at another size and schedule.
_base_ = [
    '../_base_/centernet_hardnet85.py',
    '../_base_/digits_detection.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            stem_channels=(16, 32),
            stem_strides=(2, 2),
            stem_pool=False,
            growth_multiplier=1.7,
            growth_rates=(8, 16, 24),
            num_layers=(4, 8, 8),
            transition_channels=(48, 128, 192),
            downsample=(1, 1, 0),
        ),
        ceil_mode=False,
    ),
    neck=dict(
        in_channels=(40, 142, 214),
        projection_channels=(64, 96, 80, 48),
        growth_rates=(24, 20, 16, 12),
        num_layers=(4, 4, 4, 4),
        shortcut_channels=(16, 16, 0),
    ),
    bbox_head=dict(in_channels=90, feat_channels=64, num_classes=10),
)

max_epochs = 5
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.05),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs - 1,
        eta_min_ratio=1e-3,
        begin=1,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(logger=dict(interval=25))
