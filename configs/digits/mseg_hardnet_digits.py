# HarDNet-MSEG on the masks of tools/dataset_converters/digits.py, where any digit is foreground:
# from random weights, in minutes on two CPU cores. The backbone is smaller, and its three maps have
# half the strides; loss, sizes and clamped gradients are those of the polyps' config.
_base_ = [
    '../_base_/mseg_hardnet68.py',
    '../_base_/digits_run.py',
    '../_base_/schedule_mseg.py',
]

model = dict(
    backbone=dict(_delete_=True, type='HarDNet', arch=_base_.digits_arch, out_indices=(0, 1, 2)),
    decode_head=dict(in_channels=(48, 128, 192), channels=16),
)

scale = (128, 128)
digits = list(range(1, 11))  # of the classes; 0 is background
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadBinaryMask', soft=True, foreground=digits),
    dict(type='ResizeSoftMask', scale=scale, backend='pillow'),
    dict(type='PackSoftMask'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, backend='pillow'),
    dict(type='LoadBinaryMask', soft=True, foreground=digits),
    dict(type='PackSoftMask'),
]
dataset = dict(
    type='BinaryMaskDataset',
    data_root='data/digits',
    metainfo=dict(classes=('background', 'digit')),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        data_prefix=dict(img_path='train', seg_map_path='masks/train'),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        data_prefix=dict(img_path='val', seg_map_path='masks/val'),
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='BinaryMaskMetric')
test_evaluator = val_evaluator

digits_epochs = 1  # of 300 batches, each of them at three sizes
train_cfg = dict(sizes=(96, 128, 160), max_epochs=digits_epochs, val_interval=digits_epochs)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.05))
param_scheduler = [  # of 900 steps, a third of them at each size
    dict(type='LinearLR', start_factor=0.01, begin=0, end=90, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        T_max=810,
        eta_min_ratio=1e-3,
        begin=90,
        end=900,
        by_epoch=False,
    ),
]
default_hooks = dict(logger=dict(interval=75), checkpoint=dict(interval=1))
