# This plugin's own recipe, without published results: augmentation, the loss of the papers, AdamW
# with a learning-rate decay, averaged weights, bfloat16.
_base_ = './mseg_hardnet68_kvasir.py'

model = dict(decode_head=dict(loss_decode=dict(weighted_cross_entropy=True)))

black = dict(img=0, seg=0)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadBinaryMask', soft=True),
    dict(
        type='RandomResize',
        scale=_base_.scale,
        ratio_range=(0.75, 1.25),
        resize_type='ResizeSoftMask',
        keep_ratio=False,
        backend='pillow',
    ),
    dict(type='RandomRotate', prob=0.5, degree=90, seg_pad_val=0),
    dict(type='RandomCrop', crop_size=_base_.scale),
    dict(type='Pad', size=_base_.scale, pad_val=black),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSoftMask'),
]
train_dataloader = dict(drop_last=True, dataset=dict(pipeline=train_pipeline))

epochs = 200  # with one step per batch; the original's 99 have three
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=10)
optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    dtype='bfloat16',  # not float16: the decoder multiplies maps, which can overflow
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.01),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=epochs - 5,
        eta_min_ratio=1e-2,
        begin=5,
        end=epochs,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='MomentumAnnealingEMA',
        momentum=2e-3,
        gamma=10,
        update_buffers=True,
    )
]
default_hooks = dict(checkpoint=dict(interval=10, save_best='mDice'))
