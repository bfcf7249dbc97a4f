# RFBNet512 is SSD512 with another neck. The original trains both with the same program, so the
# notes in _base_/schedule_ssd512.py apply here, too: steps at 90, 120 and 140 of at most 300
# epochs.
#
# From configs/rfb512_hardnet68_coco.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base

from hardnet_mm.det import RFBNeck

with read_base():
    from ._base_.rfb512 import *
    from .ssd512_hardnet68_coco_lazy import *

model.merge(
    dict(
        neck=dict(
            _delete_=True,
            type=RFBNeck,
            in_channels=(320, 640),
            out_channels=rfb512_channels,
            bridge=dict(mid_channels=640, dilation=4),
            block_strides=(1, 2, 2, 2, 2),
            block_dilations=((3, 5), (3, 5), (3, 5), (2, 3), (2, 3)),
            level_strides=(1,),
            level_paddings=(1,),
            last_kernel_size=4,
        ),
        bbox_head=dict(in_channels=rfb512_channels),
    )
)
