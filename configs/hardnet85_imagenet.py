_base_ = '_base_/hardnet_imagenet.py'

model = dict(
    backbone=dict(arch='hardnet85'),
    head=dict(in_channels=1280, dropout='hardnet85'),
)
