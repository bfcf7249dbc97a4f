_base_ = '_base_/hardnet_imagenet.py'

model = dict(
    backbone=dict(arch='hardnet68ds'),
    head=dict(in_channels=1024, dropout='hardnet68ds'),
)
