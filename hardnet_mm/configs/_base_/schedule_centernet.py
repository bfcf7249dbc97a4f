# CenterNet-HarDNet's optimiser and first epoch. A config sets the epochs and the learning-rate
# steps.
#
# From configs/_base_/schedule_centernet.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.optim import ConstantLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import SGD

with read_base():
    from .mmdet_default_runtime import *

train_cfg = dict(type=EpochBasedTrainLoop)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.01, momentum=0.9, weight_decay=0.0001),
)
centernet_warm_up = dict(type=ConstantLR, factor=0.005, by_epoch=True, begin=0, end=2)
default_hooks.update(checkpoint=dict(max_keep_ckpts=3, save_best='auto'))
