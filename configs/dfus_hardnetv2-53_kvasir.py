# HarDNet-DFUS on Kvasir-SEG, 880 images for training and 120 for testing. Sides are multiples of
# 64.
_base_ = [
    './_base_/dfus_hardnetv2-53.py',
    './_base_/polyps.py',
    './_base_/dfus_augmentation.py',
    './_base_/schedule_dfus.py',
]

scale = (384, 384)
crop = dict(crop_size=(384, 384))
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
train_dataloader = dict(batch_size=12, drop_last=True, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
