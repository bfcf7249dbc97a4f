# From configs/centernet_hardnet68_coco.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.optim import ConstantLR, MultiStepLR

with read_base():
    from .centernet_hardnet85_coco_lazy import *

load_from = 'hardnet://hardnet68_base'
model.update(
    backbone=dict(arch='hardnet68'),
    neck=dict(
        in_channels=(124, 328, 654),
        projection_channels=(192, 256, 128, 64),
        growth_rates=(72, 48, 32, 20),
        use_skips=(True, True, False),
    ),
    bbox_head=dict(in_channels=162),
)
train_dataloader.update(batch_size=24)
auto_scale_lr.update(base_batch_size=24)
train_cfg.update(max_epochs=150)
optim_wrapper.update(optimizer=dict(lr=0.005))
param_scheduler = [
    dict(type=ConstantLR, factor=0.01, by_epoch=True, begin=0, end=2),
    dict(type=MultiStepLR, milestones=[100, 130], gamma=0.1, by_epoch=True, end=150),
]
