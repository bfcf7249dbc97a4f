# From configs/rfb512_hardnet85_coco.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base

with read_base():
    from .rfb512_hardnet68_coco_lazy import *

load_from = 'hardnet://hardnet85_base'
model.update(backbone=dict(arch='hardnet85'), neck=dict(in_channels=(320, 720), bridge=None))
