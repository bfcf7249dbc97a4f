# HarDNet-DFUS's schedule: one step per batch at a random size, AdamW with a learning rate that
# decays every epoch, float16. A config sets the image size, the epochs and the batch size.
_base_ = './mmseg_runtime.py'

side, epochs = 384, 300
train_cfg = dict(
    type='RandomSizeTrainLoop', side=side, divisor=64, max_epochs=epochs, val_interval=10
)
optim_wrapper = dict(
    type='AmpOptimWrapper',
    # 1e-4 * (1.001 + cos(pi * epoch / epochs))
    optimizer=dict(type='AdamW', lr=2.001e-4, eps=1e-7, weight_decay=0.01),
)
param_scheduler = [dict(type='CosineAnnealingLR', T_max=epochs, eta_min=1e-7, end=epochs)]
# (1 GPU) x (12 images); --auto-scale-lr scales lr for other batches
auto_scale_lr = dict(enable=False, base_batch_size=12)
# The original also computes averaged weights, but tests and saves the others. These average over
# the last tenth of the steps so far. (ExpMomentumEMA, which is like the original's, only exists in
# mmdet.)
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='MomentumAnnealingEMA',
        momentum=1e-4,
        gamma=10,
        update_buffers=True,
    )
]
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=10, max_keep_ckpts=3, save_best='mDice'),
)
log_processor = dict(by_epoch=True)
# mmseg's own TTA model would apply the sigmoid to probabilities of one channel again
tta_model = dict(type='LogitSegTTAModel')
