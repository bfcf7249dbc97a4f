# Training starts from ImageNet weights, as in the original. --cfg-options load_from=None starts
# from random weights.
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

# (1 GPU) x (16 images), as in the original. tools/dist_train.sh shares the batch among several
# GPUs, and sync_bn computes the norms' statistics over all of it. --auto-scale-lr scales lr for
# other batches.
auto_scale_lr = dict(enable=False, base_batch_size=16)
sync_bn = 'torch'  # with several GPUs

max_iters = 90_000
# The published result is the best of 180 validations.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=500)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, end=max_iters, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=5000, max_keep_ckpts=3, save_best='mIoU'))

# Lines for your own config that inherits from this one:
# flip testing with averaged scores, as in the original (--tta of tools/test.py)
#     tta_pipeline, tta_model = None, dict(type='LogitSegTTAModel')
# re-estimated BatchNorm statistics before each validation, an option of the original
#     custom_hooks = [dict(type='mmpretrain.PreciseBNHook', num_samples=2975, interval=500)]
