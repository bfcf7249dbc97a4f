# mmseg's 80,000 iterations.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=80_000, val_interval=8000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=80_000, by_epoch=False)
]
# (4 GPUs) x (4 images); --auto-scale-lr scales lr for other batches
auto_scale_lr = dict(enable=False, base_batch_size=16)
