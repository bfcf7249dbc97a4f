# From the published weights of COCO, which has all classes of Pascal VOC. No schedule of this is
# published: the rate is a fourth of that from ImageNet, and the epochs are half as many.
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
