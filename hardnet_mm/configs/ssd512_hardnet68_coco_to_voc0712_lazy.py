# Training starts from the published COCO weights. COCO has all classes of Pascal VOC. No schedule
# for this is published: here the learning rate is a fourth, and the epochs half, of those from
# ImageNet.
#
# From configs/ssd512_hardnet68_coco-to-voc0712.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmdet.engine import CheckInvalidLossHook, NumClassCheckHook
from mmengine.config import read_base
from mmengine.optim import MultiStepLR

from hardnet_mm.det import ClassesFromCOCOHook

with read_base():
    from .ssd512_hardnet68_voc0712_lazy import *

load_from = 'hardnet://ssd512_hardnet68_coco'
custom_hooks = [
    dict(type=NumClassCheckHook),
    dict(type=CheckInvalidLossHook, interval=50, priority='VERY_LOW'),
    dict(type=ClassesFromCOCOHook),
]
train_cfg.update(max_epochs=150)
optim_wrapper.update(optimizer=dict(lr=0.001))
param_scheduler = [
    dict(type=MultiStepLR, milestones=[75, 100, 125], gamma=0.1, by_epoch=True, end=150),
]
