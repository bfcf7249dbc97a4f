# The differences of SSD512 on HarDNet85 from HarDNet68: model = _base_.ssd512_hardnet85
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
