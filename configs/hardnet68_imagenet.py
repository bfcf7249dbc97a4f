_base_ = '_base_/hardnet_imagenet.py'

model = dict(
    backbone=dict(arch='hardnet68'),
    head=dict(in_channels=1024, dropout='hardnet68'),
)
