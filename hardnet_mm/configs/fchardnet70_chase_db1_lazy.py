# From configs/fchardnet70_chase-db1.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.optim import OptimWrapper, PolyLR
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

with read_base():
    from ._base_.chase_db1 import *
    from ._base_.fchardnet70 import *
    from ._base_.mmseg_runtime import *

model.update(
    decode_head=dict(num_classes=2),
    test_cfg=dict(mode='slide', crop_size=(128, 128), stride=(85, 85)),
)
max_iters = 40000
train_cfg = dict(type=IterBasedTrainLoop, max_iters=40000, val_interval=4000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.01, momentum=0.9, weight_decay=0.0005),
)
param_scheduler = [dict(type=PolyLR, eta_min=0.0001, power=0.9, end=40000, by_epoch=False)]
default_hooks.update(checkpoint=dict(interval=4000))
