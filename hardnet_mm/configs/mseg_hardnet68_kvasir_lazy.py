# HarDNet-MSEG on Kvasir-SEG, 880 images for training and 120 for testing. Training starts from
# ImageNet weights, as in the original. --cfg-options model.backbone.init_cfg=None starts from
# random weights.
#
# From configs/mseg_hardnet68_kvasir.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base

with read_base():
    from ._base_.mseg_hardnet68 import *
    from ._base_.polyps import *
    from ._base_.schedule_mseg import *
