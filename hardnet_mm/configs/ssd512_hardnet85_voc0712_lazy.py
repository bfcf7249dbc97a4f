# From configs/ssd512_hardnet85_voc0712.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base

with read_base():
    from ._base_.ssd512_hardnet85 import *
    from .ssd512_hardnet68_voc0712_lazy import *

load_from = 'hardnet://hardnet85_base'
model.update(ssd512_hardnet85)
