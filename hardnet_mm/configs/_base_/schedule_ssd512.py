# A schedule for SSD512. The schedule of the published models is not recorded. The original program
# has this optimizer and these steps, at most 300 epochs, and batches of 8 images on two GPUs;
# earlier versions have batches of 32. Its warm-up epoch never takes effect, since it counts epochs
# from 1.
#
# From configs/_base_/schedule_ssd512.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmdet.engine import CheckInvalidLossHook, NumClassCheckHook
from mmengine.config import read_base
from mmengine.optim import MultiStepLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import SGD

with read_base():
    from .mmdet_default_runtime import *

train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=150, val_interval=10)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.004, momentum=0.9, weight_decay=0.0005),
)
param_scheduler = [
    dict(type=MultiStepLR, milestones=[90, 120, 140], gamma=0.1, by_epoch=True, end=150),
]
auto_scale_lr = dict(enable=False, base_batch_size=32)
default_hooks.update(checkpoint=dict(max_keep_ckpts=3, save_best='auto'))
custom_hooks = [
    dict(type=NumClassCheckHook),
    dict(type=CheckInvalidLossHook, interval=50, priority='VERY_LOW'),
]
