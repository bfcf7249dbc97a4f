# HarDNet-DFUS on the wounds of the DFUC2022 challenge, the first of five folds:
# docs/train_polyps.md makes their lists.
#
# From configs/dfus_hardnetv2-53_dfuc2022.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import CenterCrop, LoadImageFromFile, RandomApply, RandomChoice, TestTimeAug
from mmengine.config import read_base
from mmengine.dataset import DefaultSampler
from mmengine.optim import CosineAnnealingLR
from mmseg.datasets import RandomCrop
from mmseg.datasets.transforms import RandomFlip, Resize

from hardnet_mm.seg import (
    BinaryMaskDataset,
    BinaryMaskMetric,
    LoadBinaryMask,
    PackSoftMask,
    ResizeSoftMask,
)

with read_base():
    from ._base_.dfus_augmentation import *
    from ._base_.dfus_hardnetv2_53 import *
    from ._base_.schedule_dfus import *

model.update(
    data_preprocessor=dict(mean=[159.681, 146.268, 140.556], std=[39.8055, 46.3845, 49.419]),
)
scale = (512, 512)
crop = dict(crop_size=(480, 480))
either_crop = dict(
    type=RandomChoice,
    transforms=[
        [dict(type=CenterCrop, crop_size=(480, 480))],
        [dict(type=RandomCrop, crop_size=(480, 480))],
    ],
)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadBinaryMask, soft=True),
    dict(type=RandomApply, prob=0.3, transforms=[either_crop]),
    *augmentation,
    dict(type=ResizeSoftMask, scale=(512, 512)),
    dict(type=PackSoftMask),
]
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(512, 512)),
    dict(type=LoadBinaryMask, soft=True),
    dict(type=PackSoftMask),
]
flips = [
    dict(type=RandomFlip, prob=0.0),
    dict(type=RandomFlip, prob=1.0, direction='horizontal'),
    dict(type=RandomFlip, prob=1.0, direction='vertical'),
]
tta_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(512, 512)),
    dict(type=LoadBinaryMask, soft=True),
    dict(type=TestTimeAug, transforms=[flips, [dict(type=PackSoftMask)]]),
]
dataset = dict(
    type=BinaryMaskDataset,
    data_root='data/dfuc2022',
    data_prefix=dict(img_path='train/images', seg_map_path='train/masks'),
    metainfo=dict(classes=('background', 'ulcer')),
)
train_dataloader = dict(
    batch_size=6,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(
        ann_file='all-but-fold-0.txt',
        pipeline=train_pipeline,
        type=BinaryMaskDataset,
        data_root='data/dfuc2022',
        data_prefix=dict(img_path='train/images', seg_map_path='train/masks'),
        metainfo=dict(classes=('background', 'ulcer')),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        ann_file='fold-0.txt',
        pipeline=test_pipeline,
        type=BinaryMaskDataset,
        data_root='data/dfuc2022',
        data_prefix=dict(img_path='train/images', seg_map_path='train/masks'),
        metainfo=dict(classes=('background', 'ulcer')),
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=BinaryMaskMetric)
test_evaluator = val_evaluator
epochs = 150
train_cfg.update(side=512, max_epochs=150)
param_scheduler = [dict(type=CosineAnnealingLR, T_max=150, eta_min=1e-07, end=150)]
auto_scale_lr.update(base_batch_size=6)
