# CenterNet on a small HarDNet for the digits of tools/dataset_converters/digits.py: from random
# weights, in minutes on two CPU cores. What COCO's config runs, at another size and schedule, and
# without its augmentation.
_base_ = [
    '../_base_/centernet_hardnet85.py',
    '../_base_/digits_detection.py',
    '../_base_/digits_run.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        arch=dict(_delete_=True, **_base_.digits_arch),
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

train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=_base_.digits_epochs, val_interval=_base_.digits_epochs
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.05),
)
param_scheduler = _base_.digits_schedule
default_hooks = dict(logger=dict(interval=25))
