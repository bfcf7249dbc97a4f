_base_ = './centernet_hardnet85_coco.py'

model = dict(
    backbone=dict(arch='hardnet68'),
    neck=dict(
        in_channels=(124, 328, 654),
        projection_channels=(192, 256, 128, 64),
        growth_rates=(72, 48, 32, 20),
        use_skips=(True, True, False),
    ),
    bbox_head=dict(in_channels=162),
)
