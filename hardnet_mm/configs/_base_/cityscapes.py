# Cityscapes in crops of 1024 x 1024, as in PingoLH/FCHarDNet. Pillow downscales images with
# antialiasing. Images smaller than a crop are padded with black on all sides. Tests use complete
# images of 1024 x 2048.
#
# From configs/_base_/cityscapes.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, RandomResize, TestTimeAug
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.datasets import CityscapesDataset, LoadAnnotations, PackSegInputs, RandomCrop
from mmseg.datasets.transforms import RandomFlip, Resize
from mmseg.evaluation import IoUMetric

from hardnet_mm.seg import PadBothSides

crop_size = (1024, 1024)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadAnnotations),
    dict(
        type=RandomResize,
        scale=(2048, 1024),
        ratio_range=(0.5, 2.0),
        keep_ratio=True,
        backend='pillow',
    ),
    dict(type=PadBothSides, crop_size=(1024, 1024)),
    dict(type=RandomCrop, crop_size=(1024, 1024)),
    dict(type=RandomFlip, prob=0.5),
    dict(type=PackSegInputs),
]
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(2048, 1024), keep_ratio=True),
    dict(type=LoadAnnotations),
    dict(type=PackSegInputs),
]
tta_pipeline = [
    dict(type=LoadImageFromFile),
    dict(
        type=TestTimeAug,
        transforms=[
            [
                dict(type=Resize, scale_factor=0.75, keep_ratio=True),
                dict(type=Resize, scale_factor=1.0, keep_ratio=True),
                dict(type=Resize, scale_factor=1.25, keep_ratio=True),
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
dataset = dict(type=CityscapesDataset, data_root='data/cityscapes/')
train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type=InfiniteSampler, shuffle=True),
    dataset=dict(
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
        type=CityscapesDataset,
        data_root='data/cityscapes/',
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
        type=CityscapesDataset,
        data_root='data/cityscapes/',
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=IoUMetric, iou_metrics=['mIoU'])
test_evaluator = val_evaluator
