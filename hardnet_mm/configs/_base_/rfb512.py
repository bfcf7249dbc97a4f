# RFBNet512's neck, as in lzx1413/PytorchSSD, for a config of SSD512 on HarDNet68
#
# From configs/_base_/rfb512.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from hardnet_mm.det import RFBNeck

rfb512_channels = (512, 1024, 512, 256, 256, 256, 256)
rfb512_neck = dict(
    type=RFBNeck,
    in_channels=(320, 640),
    out_channels=rfb512_channels,
    bridge=dict(mid_channels=640, dilation=4),
    block_strides=(1, 2, 2, 2, 2),
    block_dilations=((3, 5), (3, 5), (3, 5), (2, 3), (2, 3)),
    level_strides=(1,),
    level_paddings=(1,),
    last_kernel_size=4,
)
