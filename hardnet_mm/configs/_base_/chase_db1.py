# CHASE_DB1, retinal vessels: 28 images of 960 x 999, in crops of 128 x 128, as in mmseg's
# chase_db1.py. Instead of repeating the data set, batches of 4 are drawn from an infinite sampler.
#
# From configs/_base_/chase_db1.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, RandomResize, TestTimeAug
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.datasets import (
    ChaseDB1Dataset,
    LoadAnnotations,
    PackSegInputs,
    PhotoMetricDistortion,
    RandomCrop,
)
from mmseg.datasets.transforms import RandomFlip, Resize
from mmseg.evaluation import IoUMetric

crop_size = (128, 128)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadAnnotations),
    dict(type=RandomResize, scale=(960, 999), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type=RandomCrop, crop_size=(128, 128), cat_max_ratio=0.75),
    dict(type=RandomFlip, prob=0.5),
    dict(type=PhotoMetricDistortion),
    dict(type=PackSegInputs),
]
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(960, 999), keep_ratio=True),
    dict(type=LoadAnnotations),
    dict(type=PackSegInputs),
]
tta_pipeline = [
    dict(type=LoadImageFromFile, backend_args=None),
    dict(
        type=TestTimeAug,
        transforms=[
            [
                dict(type=Resize, scale_factor=0.5, keep_ratio=True),
                dict(type=Resize, scale_factor=0.75, keep_ratio=True),
                dict(type=Resize, scale_factor=1.0, keep_ratio=True),
                dict(type=Resize, scale_factor=1.25, keep_ratio=True),
                dict(type=Resize, scale_factor=1.5, keep_ratio=True),
                dict(type=Resize, scale_factor=1.75, keep_ratio=True),
            ],
            [
                dict(type=RandomFlip, prob=0.0, direction='horizontal'),
                dict(type=RandomFlip, prob=1.0, direction='horizontal'),
            ],
            [dict(type=LoadAnnotations)],
            [dict(type=PackSegInputs)],
        ],
    ),
]
dataset = dict(type=ChaseDB1Dataset, data_root='data/CHASE_DB1')
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=InfiniteSampler, shuffle=True),
    dataset=dict(
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=train_pipeline,
        type=ChaseDB1Dataset,
        data_root='data/CHASE_DB1',
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline,
        type=ChaseDB1Dataset,
        data_root='data/CHASE_DB1',
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=IoUMetric, iou_metrics=['mDice'])
test_evaluator = val_evaluator
