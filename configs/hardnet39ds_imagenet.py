_base_ = '_base_/hardnet_imagenet.py'

model = dict(
    backbone=dict(arch='hardnet39ds'),
    head=dict(in_channels=1024, dropout='hardnet39ds'),
)
