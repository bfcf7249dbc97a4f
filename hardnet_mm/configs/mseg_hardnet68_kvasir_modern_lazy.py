# This plugin's own recipe, without published results: augmentation, the loss of the papers, AdamW
# with a learning-rate decay, averaged weights, bfloat16.
#
# From configs/mseg_hardnet68_kvasir_modern.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, Pad, RandomResize
from mmengine.config import read_base
from mmengine.hooks import EMAHook
from mmengine.optim import AmpOptimWrapper, CosineAnnealingLR, LinearLR
from mmengine.runner import EpochBasedTrainLoop
from mmseg.datasets import PhotoMetricDistortion, RandomCrop, RandomRotate
from mmseg.datasets.transforms import RandomFlip
from torch.optim import AdamW

from hardnet_mm.seg import LoadBinaryMask, PackSoftMask

with read_base():
    from .mseg_hardnet68_kvasir_lazy import *

model.update(decode_head=dict(loss_decode=dict(weighted_cross_entropy=True)))
black = dict(img=0, seg=0)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadBinaryMask, soft=True),
    dict(
        type=RandomResize,
        scale=(352, 352),
        ratio_range=(0.75, 1.25),
        resize_type='ResizeSoftMask',
        keep_ratio=False,
        backend='pillow',
    ),
    dict(type=RandomRotate, prob=0.5, degree=90, seg_pad_val=0),
    dict(type=RandomCrop, crop_size=(352, 352)),
    dict(type=Pad, size=(352, 352), pad_val=black),
    dict(type=RandomFlip, prob=0.5, direction='horizontal'),
    dict(type=RandomFlip, prob=0.5, direction='vertical'),
    dict(type=PhotoMetricDistortion),
    dict(type=PackSoftMask),
]
train_dataloader.update(dataset=dict(pipeline=train_pipeline), drop_last=True)
epochs = 200
train_cfg.merge(dict(_delete_=True, type=EpochBasedTrainLoop, max_epochs=200, val_interval=10))
optim_wrapper.merge(
    dict(
        type=AmpOptimWrapper,
        dtype='bfloat16',
        optimizer=dict(type=AdamW, lr=0.0002, weight_decay=0.01),
        clip_grad=dict(_delete_=True, max_norm=1.0),
    )
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, begin=0, end=5, convert_to_iter_based=True),
    dict(
        type=CosineAnnealingLR,
        T_max=195,
        eta_min_ratio=0.01,
        begin=5,
        end=200,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(
        type=EMAHook,
        ema_type='MomentumAnnealingEMA',
        momentum=0.002,
        gamma=10,
        update_buffers=True,
    ),
]
default_hooks.update(checkpoint=dict(interval=10, save_best='mDice'))
