# Tests images at their original size (--keep_res of the original), padded with black to multiples
# of 32. With --tta at five scales (--test_scales), each with its mirror image.
#
# From configs/centernet_hardnet85_keep-res_coco.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, TestTimeAug
from mmdet.datasets.transforms import (
    LoadAnnotations,
    PackDetInputs,
    RandomCenterCropPad,
    RandomFlip,
    Resize,
)
from mmengine.config import read_base

with read_base():
    from .centernet_hardnet85_coco_lazy import *

load = dict(type=LoadImageFromFile, to_float32=True)
canvas = dict(
    type=RandomCenterCropPad,
    ratios=None,
    border=None,
    mean=[0, 0, 0],
    std=[1, 1, 1],
    to_rgb=False,
    test_mode=True,
    test_pad_mode=['logical_or', 31],
    test_pad_add_pix=1,
)
annotations = dict(type=LoadAnnotations, with_bbox=True)
pack = dict(
    type=PackDetInputs,
    meta_keys=(
        'img_id',
        'img_path',
        'ori_shape',
        'img_shape',
        'scale_factor',
        'border',
        'flip',
        'flip_direction',
    ),
)
test_pipeline = [load, canvas, annotations, pack]
tta_pipeline = [
    load,
    dict(
        type=TestTimeAug,
        transforms=[
            [
                dict(type=Resize, scale_factor=0.5, keep_ratio=False),
                dict(type=Resize, scale_factor=0.75, keep_ratio=False),
                dict(type=Resize, scale_factor=1.0, keep_ratio=False),
                dict(type=Resize, scale_factor=1.25, keep_ratio=False),
                dict(type=Resize, scale_factor=1.5, keep_ratio=False),
            ],
            [canvas],
            [dict(type=RandomFlip, prob=1.0), dict(type=RandomFlip, prob=0.0)],
            [annotations],
            [pack],
        ],
    ),
]
val_dataloader.update(batch_size=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
