# YOLOX on HarDNet68, from random weights as YOLOX is; the neck is as wide as its outputs.
# tools/swap_backbone.py wrote it.
_base_ = 'mmdet::yolox/yolox_s_8xb8-300e_coco.py'

custom_imports = dict(imports=['hardnet_mm'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='HarDNet',
        arch='hardnet68',
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN', momentum=0.03, eps=0.001),
    ),
    neck=dict(in_channels=[320, 640, 1024]),
)
