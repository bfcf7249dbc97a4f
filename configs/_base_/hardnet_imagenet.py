# ImageNet classification, as PingoLH/Pytorch-HarDNet trains it.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py',
    'mmpretrain::_base_/default_runtime.py',
]

custom_imports = dict(imports=['hardnet_mm.cls'])

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='HarDNet',
        arch='hardnet68',
        out_indices=(3,),
        init_cfg=[dict(type='Xavier', distribution='normal', layer='Conv2d')],
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='DropoutLinearClsHead',
        num_classes=1000,
        in_channels=1024,
        dropout=0.1,
        # PyTorch's own initialization of a linear layer, with zero bias
        init_cfg=dict(
            type='Kaiming',
            layer='Linear',
            a=5**0.5,
            mode='fan_in',
            nonlinearity='leaky_relu',
            distribution='uniform',
        ),
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)

# (1 GPU) x (256 images). The original's batch is 256 in all, on however many GPUs: on N,
# train_dataloader.batch_size=256/N keeps it; --auto-scale-lr scales lr for other batches.
train_dataloader = dict(batch_size=256)
auto_scale_lr = dict(base_batch_size=256)

max_epochs = 150  # the minimum of the 150 to 250 that the original names, see below
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=6e-5),
)
param_scheduler = dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True)

default_hooks = dict(
    labels=dict(type='LabelCheckHook'),
    checkpoint=dict(max_keep_ckpts=3, save_best='accuracy/top1', rule='greater'),
)

# Lines for your own config that inherits from this one (custom_hooks can list both hooks):
# 250 epochs     train_cfg, param_scheduler = dict(max_epochs=250), dict(T_max=250)
# AMP            optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
# EMA            custom_hooks = [dict(type='EMAHook', momentum=1e-4, priority='ABOVE_NORMAL')]
# channels-last  custom_hooks = [dict(type='ChannelsLastHook')]
