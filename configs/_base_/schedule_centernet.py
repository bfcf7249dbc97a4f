# CenterNet-HarDNet's optimiser and first epoch. A config sets the epochs and the learning-rate
# steps.
_base_ = 'mmdet::_base_/default_runtime.py'

train_cfg = dict(type='EpochBasedTrainLoop')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-2, momentum=0.9, weight_decay=1e-4),
)
# only the first epoch: mmengine's ConstantLR stops one epoch before its end
centernet_warm_up = dict(type='ConstantLR', factor=5e-5 / 1e-2, by_epoch=True, begin=0, end=2)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=3, save_best='auto'))
