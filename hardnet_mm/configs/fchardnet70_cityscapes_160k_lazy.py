# A longer schedule, without published results. (Paddle's schedule of 160,000 iterations is for
# another network: fchardnet70-paddle_cityscapes.py.)
#
# From configs/fchardnet70_cityscapes_160k.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.optim import PolyLR

with read_base():
    from .fchardnet70_cityscapes_lazy import *

max_iters = 160000
train_cfg.update(max_iters=160000, val_interval=16000)
param_scheduler = [dict(type=PolyLR, eta_min=0, power=0.9, end=160000, by_epoch=False)]
default_hooks.update(checkpoint=dict(interval=16000))
