_base_ = './rfb512_hardnet68_coco.py'

load_from = 'hardnet://hardnet85_base'

model = dict(
    backbone=dict(arch='hardnet85'),
    neck=dict(in_channels=(320, 720), bridge=None),
)
