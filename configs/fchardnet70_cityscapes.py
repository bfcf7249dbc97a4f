# It starts from ImageNet weights, as the original does. --cfg-options load_from=None leaves them
# out.
_base_ = [
    './_base_/fchardnet70.py',
    './_base_/cityscapes.py',
    './_base_/mmseg_runtime.py',
]

xavier = [dict(type='Xavier', distribution='normal', layer='Conv2d')]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(init_cfg=xavier),
    decode_head=dict(init_cfg=xavier),
)
load_from = 'hardnet://hardnet_petite_base'

# (1 GPU) x (16 images), as the original. Several GPUs share the batch by tools/dist_train.sh, and
# sync_bn keeps its statistics; --auto-scale-lr scales lr for other batches.
auto_scale_lr = dict(enable=False, base_batch_size=16)
sync_bn = 'torch'  # where there are several

max_iters = 90_000
# The best of 180 validations is what was published.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=500)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, end=max_iters, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=5000, max_keep_ckpts=3, save_best='mIoU'))

# A line each, for a config of yours that inherits from this one:
# the flip alone, its scores averaged, as the original tests (--tta of tools/test.py)
#     tta_pipeline, tta_model = None, dict(type='LogitSegTTAModel')
# statistics of the norms computed anew before each validation, as the original can
#     custom_hooks = [dict(type='mmpretrain.PreciseBNHook', num_samples=2975, interval=500)]
