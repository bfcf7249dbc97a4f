# Trained and tested at 608 x 608. It has its own weights.
#
# From configs/centernet_hardnet85_608_coco.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, TestTimeAug
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, RandomFlip, Resize
from mmengine.config import read_base

from hardnet_mm.det import (
    CTColorJitter,
    LoadOptionalMasks,
    RandomScaleShift,
    TrainIgnoredBoxes,
    VisibleBoxes,
)

with read_base():
    from .centernet_hardnet85_coco_lazy import *

input_size = (608, 608)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadOptionalMasks),
    dict(type=TrainIgnoredBoxes),
    dict(type=RandomFlip, prob=0.5),
    dict(type=RandomScaleShift, scale=(608, 608)),
    dict(type=VisibleBoxes),
    dict(type=CTColorJitter),
    dict(type=PackDetInputs),
]
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(608, 608), keep_ratio=False),
    dict(type=LoadAnnotations, with_bbox=True),
    dict(
        type=PackDetInputs,
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
tta_pipeline = [
    dict(type=LoadImageFromFile),
    dict(
        type=TestTimeAug,
        transforms=[
            [dict(type=Resize, scale=(608, 608), keep_ratio=False)],
            [dict(type=RandomFlip, prob=1.0), dict(type=RandomFlip, prob=0.0)],
            [dict(type=LoadAnnotations, with_bbox=True)],
            [
                dict(
                    type=PackDetInputs,
                    meta_keys=(
                        'img_id',
                        'img_path',
                        'ori_shape',
                        'img_shape',
                        'scale_factor',
                        'flip',
                        'flip_direction',
                    ),
                ),
            ],
        ],
    ),
]
train_dataloader.update(dataset=dict(pipeline=train_pipeline))
val_dataloader.update(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
