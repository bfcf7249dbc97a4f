# Mask R-CNN on HarDNet68.
# tools/swap_backbone.py wrote it.
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'

custom_imports = dict(imports=['hardnet_mm'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='HarDNet',
        arch='hardnet68',
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='hardnet://hardnet68'),
    ),
    neck=dict(in_channels=[128, 320, 640, 1024]),
)
