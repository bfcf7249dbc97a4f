# ImageNet classification, as PingoLH/Pytorch-HarDNet trains it.
#
# From configs/_base_/hardnet_imagenet.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR
from mmpretrain.models import CrossEntropyLoss, GlobalAveragePooling, ImageClassifier
from torch.optim import SGD

from hardnet_mm import HarDNet
from hardnet_mm.cls import DropoutLinearClsHead
from hardnet_mm.training import LabelCheckHook

with read_base():
    from .mmpretrain_default_runtime import *
    from .mmpretrain_imagenet_bs32_pil_resize import *

custom_imports = dict(imports=['hardnet_mm.cls'])
model = dict(
    type=ImageClassifier,
    backbone=dict(
        type=HarDNet,
        arch='hardnet68',
        out_indices=(3,),
        init_cfg=[dict(type='Xavier', distribution='normal', layer='Conv2d')],
    ),
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=DropoutLinearClsHead,
        num_classes=1000,
        in_channels=1024,
        dropout=0.1,
        init_cfg=dict(
            type='Kaiming',
            layer='Linear',
            a=2.23606797749979,
            mode='fan_in',
            nonlinearity='leaky_relu',
            distribution='uniform',
        ),
        loss=dict(type=CrossEntropyLoss, loss_weight=1.0),
        topk=(1, 5),
    ),
)
train_dataloader.update(batch_size=256)
auto_scale_lr = dict(base_batch_size=256)
max_epochs = 150
train_cfg = dict(by_epoch=True, max_epochs=150, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type=SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=6e-05),
)
param_scheduler = dict(type=CosineAnnealingLR, T_max=150, by_epoch=True)
default_hooks.update(
    checkpoint=dict(max_keep_ckpts=3, save_best='accuracy/top1', rule='greater'),
    labels=dict(type=LabelCheckHook),
)
