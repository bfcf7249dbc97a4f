# The network that PaddleSeg calls FC-HarDNet-70, and its recipe from random weights. Every feature
# map has twice the height and width, and the network four times the multiply-adds.
#
# From configs/fchardnet70-paddle_cityscapes.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, RandomChoiceResize
from mmengine.config import read_base
from mmengine.model import KaimingInit
from mmengine.optim import OptimWrapper, PolyLR
from mmengine.runner import IterBasedTrainLoop
from mmseg.datasets import LoadAnnotations, PackSegInputs, RandomCrop
from mmseg.datasets.transforms import RandomFlip
from torch.optim import SGD

from hardnet_mm.seg import PillowColorJitter

with read_base():
    from ._base_.cityscapes import *
    from ._base_.fchardnet70 import *
    from ._base_.mmseg_runtime import *

he = [dict(type=KaimingInit, layer='Conv2d', mode='fan_in')]
model.update(
    data_preprocessor=dict(
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        size=(1024, 1024),
    ),
    backbone=dict(arch='fchardnet70_paddle', init_cfg=he),
    decode_head=dict(align_corners=False, init_cfg=he),
)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadAnnotations),
    dict(
        type=RandomChoiceResize,
        scales=[
            (1024, 512),
            (1536, 768),
            (2048, 1024),
            (2560, 1280),
            (3072, 1536),
            (3584, 1792),
            (4096, 2048),
        ],
        resize_type='Resize',
        keep_ratio=True,
    ),
    dict(type=RandomCrop, crop_size=(1024, 1024)),
    dict(type=RandomFlip, prob=0.5),
    dict(type=PillowColorJitter, brightness=0.4, contrast=0.4, saturation=0.4, hue=18),
    dict(type=PackSegInputs),
]
train_dataloader.update(batch_size=4, num_workers=4, dataset=dict(pipeline=train_pipeline))
auto_scale_lr = dict(enable=False, base_batch_size=16)
sync_bn = 'torch'
max_iters = 160000
train_cfg = dict(type=IterBasedTrainLoop, max_iters=160000, val_interval=2000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.02, momentum=0.9, weight_decay=0.0005),
)
param_scheduler = [dict(type=PolyLR, eta_min=0, power=0.9, end=160000, by_epoch=False)]
default_hooks.update(checkpoint=dict(max_keep_ckpts=3, save_best='mIoU'))
