# The weights of 512 x 512, tested at 416 x 416.
#
# From configs/centernet_hardnet85_416_coco.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, TestTimeAug
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, RandomFlip, Resize
from mmengine.config import read_base

with read_base():
    from .centernet_hardnet85_coco_lazy import *

input_size = (416, 416)
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(416, 416), keep_ratio=False),
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
            [dict(type=Resize, scale=(416, 416), keep_ratio=False)],
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
val_dataloader.update(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
