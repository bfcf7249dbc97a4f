# The longer schedule that another toolbox reached 79.0 mIoU with: batches of 16 as 4 x 4.
_base_ = './fchardnet70_cityscapes.py'

train_dataloader = dict(batch_size=4, num_workers=4)

max_iters = 160_000
train_cfg = dict(max_iters=max_iters, val_interval=16_000)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, end=max_iters, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=16_000))
