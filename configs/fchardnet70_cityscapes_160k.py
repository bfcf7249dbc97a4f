# A longer schedule, without published results. (Paddle's schedule of 160,000 iterations is for
# another network: fchardnet70-paddle_cityscapes.py.)
_base_ = './fchardnet70_cityscapes.py'

max_iters = 160_000
train_cfg = dict(max_iters=max_iters, val_interval=16_000)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, end=max_iters, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=16_000))
