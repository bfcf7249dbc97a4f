_base_ = './ssd512_hardnet68_coco-to-voc0712.py'

load_from = 'hardnet://ssd512_hardnet85_coco'

level_channels = (320, 720, 512, 256, 256, 256, 256)

model = dict(
    backbone=dict(arch='hardnet85'),
    neck=dict(
        in_channels=level_channels[:2],
        out_channels=level_channels,
        bridge_channels=960,
        bridge_dilation=1,
    ),
    bbox_head=dict(in_channels=level_channels),
)
