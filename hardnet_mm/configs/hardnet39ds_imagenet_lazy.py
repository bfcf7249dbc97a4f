# From configs/hardnet39ds_imagenet.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base

with read_base():
    from ._base_.hardnet_imagenet import *

model.update(backbone=dict(arch='hardnet39ds'), head=dict(dropout='hardnet39ds'))
