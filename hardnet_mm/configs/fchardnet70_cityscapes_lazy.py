# Training starts from ImageNet weights, as in the original. --cfg-options load_from=None starts
# from random weights.
#
# From configs/fchardnet70_cityscapes.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.model import XavierInit
from mmengine.optim import OptimWrapper, PolyLR
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

with read_base():
    from ._base_.cityscapes import *
    from ._base_.fchardnet70 import *
    from ._base_.mmseg_runtime import *

xavier = [dict(type=XavierInit, distribution='normal', layer='Conv2d')]
model.update(
    data_preprocessor=dict(size=(1024, 1024)),
    backbone=dict(init_cfg=xavier),
    decode_head=dict(init_cfg=xavier),
)
load_from = 'hardnet://hardnet_petite_base'
auto_scale_lr = dict(enable=False, base_batch_size=16)
sync_bn = 'torch'
max_iters = 90000
train_cfg = dict(type=IterBasedTrainLoop, max_iters=90000, val_interval=500)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.02, momentum=0.9, weight_decay=0.0005),
)
param_scheduler = [dict(type=PolyLR, eta_min=0, power=0.9, end=90000, by_epoch=False)]
default_hooks.update(checkpoint=dict(interval=5000, max_keep_ckpts=3, save_best='mIoU'))
