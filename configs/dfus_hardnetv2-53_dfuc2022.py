# HarDNet-DFUS on the wounds of the DFUC2022 challenge, the first of five folds:
# docs/train_polyps.md makes their lists.
_base_ = [
    './_base_/dfus_hardnetv2-53.py',
    './_base_/dfus_augmentation.py',
    './_base_/schedule_dfus.py',
]

model = dict(
    data_preprocessor=dict(
        mean=[159.681, 146.268, 140.556],
        std=[39.8055, 46.3845, 49.419],
    )
)

scale = (512, 512)
crop = dict(crop_size=(480, 480))
either_crop = dict(
    type='RandomChoice',
    transforms=[[dict(type='CenterCrop', **crop)], [dict(type='RandomCrop', **crop)]],
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadBinaryMask', soft=True),
    dict(type='RandomApply', prob=0.3, transforms=[either_crop]),
    *_base_.augmentation,
    dict(type='ResizeSoftMask', scale=scale),
    dict(type='PackSoftMask'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale),
    dict(type='LoadBinaryMask', soft=True),
    dict(type='PackSoftMask'),
]
flips = [
    dict(type='RandomFlip', prob=0.0),
    dict(type='RandomFlip', prob=1.0, direction='horizontal'),
    dict(type='RandomFlip', prob=1.0, direction='vertical'),
]
tta_pipeline = [
    *test_pipeline[:-1],
    dict(type='TestTimeAug', transforms=[flips, [dict(type='PackSoftMask')]]),
]
dataset = dict(
    type='BinaryMaskDataset',
    data_root='data/dfuc2022',
    data_prefix=dict(img_path='train/images', seg_map_path='train/masks'),
    metainfo=dict(classes=('background', 'ulcer')),
)
train_dataloader = dict(
    batch_size=6,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='all-but-fold-0.txt', pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(ann_file='fold-0.txt', pipeline=test_pipeline, **dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='BinaryMaskMetric')
test_evaluator = val_evaluator

epochs = 150
train_cfg = dict(side=512, max_epochs=epochs)
param_scheduler = [dict(type='CosineAnnealingLR', T_max=epochs, eta_min=1e-7, end=epochs)]
auto_scale_lr = dict(base_batch_size=6)
