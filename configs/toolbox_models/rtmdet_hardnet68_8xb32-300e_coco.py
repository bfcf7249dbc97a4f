# RTMDet on HarDNet68. The neck is as wide as HarDNet's outputs, so it is wider than RTMDet-s's.
# tools/swap_backbone.py wrote it.
_base_ = 'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py'

custom_imports = dict(imports=['hardnet_mm'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='HarDNet',
        arch='hardnet68',
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='SyncBN'),
        init_cfg=dict(type='Pretrained', checkpoint='hardnet://hardnet68'),
    ),
    neck=dict(in_channels=[320, 640, 1024]),
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
)
