# The differences of SSD512 on HarDNet85 from HarDNet68: model = _base_.ssd512_hardnet85
#
# From configs/_base_/ssd512_hardnet85.py
# by tools/pure_python_configs.py: change the former, then run the latter.

ssd512_hardnet85 = dict(
    backbone=dict(arch='hardnet85'),
    neck=dict(
        in_channels=(320, 720),
        out_channels=(320, 720, 512, 256, 256, 256, 256),
        bridge_channels=960,
        bridge_dilation=1,
    ),
    bbox_head=dict(in_channels=(320, 720, 512, 256, 256, 256, 256)),
)
