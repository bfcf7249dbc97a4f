# From configs/hardnet85_imagenet.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base

with read_base():
    from ._base_.hardnet_imagenet import *

model.update(backbone=dict(arch='hardnet85'), head=dict(in_channels=1280, dropout='hardnet85'))
