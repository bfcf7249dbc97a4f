# HarDNet39DS on the crops of tools/dataset_converters/digits.py: from random weights, in minutes on
# two CPU cores. What ImageNet's config runs, on other data, at another size and schedule.
_base_ = '../hardnet39ds_imagenet.py'

model = dict(head=dict(num_classes=10, topk=(1,)))

data_preprocessor = dict(num_classes=10)
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
dataset = dict(
    type='CustomDataset',
    data_root='data/digits/crops',
    classes=list('0123456789'),
    pipeline=pipeline,
)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(_delete_=True, data_prefix='train', **dataset),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    dataset=dict(_delete_=True, data_prefix='val', **dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator

max_epochs = 4
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=4e-3, weight_decay=0.05),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs - 1,
        eta_min_ratio=1e-3,
        begin=1,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(logger=dict(interval=50))
custom_hooks = [dict(type='ChannelsLastHook')]
