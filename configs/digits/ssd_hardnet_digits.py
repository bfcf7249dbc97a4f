# SSD on a small HarDNet for the digits of tools/dataset_converters/digits.py: from random weights,
# in minutes on two CPU cores. What COCO's config runs, on other data, at another size and schedule.
_base_ = [
    '../_base_/ssd512_hardnet68.py',
    '../_base_/schedule_ssd512.py',
    '../_base_/digits_detection.py',
    '../_base_/digits_run.py',
]

input_size = 128
level_channels = (128, 192, 128)

model = dict(
    backbone=dict(
        arch=dict(_delete_=True, **{**_base_.digits_arch, 'growth_rates': (8, 12, 16)}),
    ),
    neck=dict(
        in_channels=level_channels[:2],
        out_channels=level_channels,
        bridge_channels=128,
        bridge_dilation=1,
        level_strides=(1,),
        level_paddings=(1,),
        last_kernel_size=3,
    ),
    bbox_head=dict(
        num_classes=10,
        in_channels=level_channels,
        anchor_generator=dict(
            input_size=input_size,
            min_sizes=[16, 24, 36],
            max_sizes=[24, 36, 54],
            strides=[8, 16, 16],
            ratios=[[1.5], [1.5], [1.5]],
        ),
    ),
    test_cfg=dict(nms_pre=200),
)

digits_epochs = 4
auto_scale_lr = dict(base_batch_size=8)  # several processes share it
train_cfg = dict(max_epochs=digits_epochs, val_interval=digits_epochs)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=4e-3, weight_decay=0.1),
)
param_scheduler = [
    _base_.digits_schedule[0],
    dict(_base_.digits_schedule[1], T_max=digits_epochs - 1, end=digits_epochs),
]
default_hooks = dict(logger=dict(interval=25))
