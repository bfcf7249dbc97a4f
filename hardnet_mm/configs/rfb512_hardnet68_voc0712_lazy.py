# From configs/rfb512_hardnet68_voc0712.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base

from hardnet_mm.det import RFBNeck

with read_base():
    from ._base_.rfb512 import *
    from .ssd512_hardnet68_voc0712_lazy import *

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
