# The recipe of ../mseg_hardnet68_kvasir_modern.py at the scale of the digits, in float32, beside
# mseg_hardnet_digits.py: as many steps, all of them at one size.
_base_ = './mseg_hardnet_digits.py'

model = dict(decode_head=dict(loss_decode=dict(weighted_cross_entropy=True)))

train_pipeline = [
    *_base_.train_pipeline[:2],
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
    dict(type='Pad', size=_base_.scale, pad_val=dict(img=0, seg=0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSoftMask'),
]
train_dataloader = dict(drop_last=True, dataset=dict(pipeline=train_pipeline))

digits_epochs = 3
train_cfg = dict(
    _delete_=True, type='EpochBasedTrainLoop', max_epochs=digits_epochs, val_interval=digits_epochs
)
optim_wrapper = dict(clip_grad=dict(_delete_=True, max_norm=1.0))
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='MomentumAnnealingEMA',
        momentum=2e-3,
        gamma=10,
        update_buffers=True,
    )
]
