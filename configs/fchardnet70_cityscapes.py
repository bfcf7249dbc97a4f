# The original starts from ImageNet weights: --cfg-options load_from=hardnet://hardnet_petite_base
_base_ = [
    './_base_/fchardnet70.py',
    './_base_/cityscapes.py',
    './_base_/mmseg_runtime.py',
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))

# (1 GPU) x (16 images); --auto-scale-lr scales lr for other batches
auto_scale_lr = dict(enable=False, base_batch_size=16)

max_iters = 90_000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=5000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, end=max_iters, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=5000, max_keep_ckpts=3, save_best='mIoU'))
