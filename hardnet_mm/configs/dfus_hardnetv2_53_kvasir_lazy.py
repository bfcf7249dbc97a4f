# HarDNet-DFUS on Kvasir-SEG, 880 images for training and 120 for testing. Sides are multiples of
# 64.
#
# From configs/dfus_hardnetv2-53_kvasir.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import CenterCrop, LoadImageFromFile, RandomApply, RandomChoice, TestTimeAug
from mmengine.config import read_base
from mmseg.datasets import RandomCrop
from mmseg.datasets.transforms import RandomFlip, Resize

from hardnet_mm.seg import LoadBinaryMask, PackSoftMask, ResizeSoftMask

with read_base():
    from ._base_.dfus_augmentation import *
    from ._base_.dfus_hardnetv2_53 import *
    from ._base_.polyps import *
    from ._base_.schedule_dfus import *

scale = (384, 384)
crop = dict(crop_size=(384, 384))
either_crop = dict(
    type=RandomChoice,
    transforms=[
        [dict(type=CenterCrop, crop_size=(384, 384))],
        [dict(type=RandomCrop, crop_size=(384, 384))],
    ],
)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadBinaryMask, soft=True),
    dict(type=RandomApply, prob=0.3, transforms=[either_crop]),
    *augmentation,
    dict(type=ResizeSoftMask, scale=(384, 384)),
    dict(type=PackSoftMask),
]
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(384, 384)),
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
    dict(type=Resize, scale=(384, 384)),
    dict(type=LoadBinaryMask, soft=True),
    dict(type=TestTimeAug, transforms=[flips, [dict(type=PackSoftMask)]]),
]
train_dataloader.update(batch_size=12, dataset=dict(pipeline=train_pipeline), drop_last=True)
val_dataloader.update(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
