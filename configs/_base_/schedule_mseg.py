# 99 epochs of HarDNet-MSEG: a step at each of three sizes for every batch, a constant learning
# rate, and clamped gradient values. The original program uses the checkpoint of the last epoch.
_base_ = './mmseg_runtime.py'

train_cfg = dict(type='MultiSizeTrainLoop', sizes=(256, 352, 448), max_epochs=99, val_interval=9)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4),
    clip_grad=dict(type='value', clip_value=0.5),
)
param_scheduler = []
# (1 GPU) x (16 images); --auto-scale-lr scales lr for other batches
auto_scale_lr = dict(enable=False, base_batch_size=16)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=9, max_keep_ckpts=3),
)
log_processor = dict(by_epoch=True)
# mmseg's own TTA model would apply the sigmoid to probabilities of one channel again
tta_model = dict(type='LogitSegTTAModel')
