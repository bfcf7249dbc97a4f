# The network that PaddleSeg calls FC-HarDNet-70, and its recipe from random weights. Every feature
# map has twice the height and width, and the network four times the multiply-adds.
_base_ = [
    './_base_/fchardnet70.py',
    './_base_/cityscapes.py',
    './_base_/mmseg_runtime.py',
]

he = [dict(type='Kaiming', layer='Conv2d', mode='fan_in')]
model = dict(
    data_preprocessor=dict(
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        size=_base_.crop_size,
    ),
    backbone=dict(arch='fchardnet70_paddle', init_cfg=he),
    decode_head=dict(align_corners=False, init_cfg=he),
)

# The preprocessor pads small images with the mean.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomChoiceResize',
        scales=[(512 * quarter, 256 * quarter) for quarter in range(2, 9)],
        resize_type='Resize',
        keep_ratio=True,
    ),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PillowColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=18),
    dict(type='PackSegInputs'),
]
# (4 GPUs) x (4 images)
train_dataloader = dict(batch_size=4, num_workers=4, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(enable=False, base_batch_size=16)
sync_bn = 'torch'  # with several GPUs

max_iters = 160_000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, end=max_iters, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=8000, max_keep_ckpts=3, save_best='mIoU'))
