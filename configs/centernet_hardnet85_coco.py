# The original starts from ImageNet weights: --cfg-options load_from=hardnet://hardnet85_base
_base_ = [
    './_base_/centernet_hardnet85.py',
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/default_runtime.py',
]

train_pipeline = _base_.centernet_train_pipeline
test_pipeline = _base_.centernet_test_pipeline
tta_pipeline = _base_.centernet_tta_pipeline

train_dataloader = dict(
    batch_size=48,
    num_workers=8,
    batch_sampler=None,  # images are stretched to one shape
    dataset=dict(pipeline=train_pipeline, filter_cfg=dict(filter_empty_gt=False)),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# (1 GPU) x (48 images); --auto-scale-lr scales lr for other batches
auto_scale_lr = dict(enable=False, base_batch_size=48)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-2, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=5e-5 / 1e-2,
        by_epoch=True,
        begin=0,
        end=1,
        convert_to_iter_based=True,
    ),
    dict(type='MultiStepLR', milestones=[230, 280], gamma=0.1, by_epoch=True, end=300),
]
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=3, save_best='auto'))
custom_hooks = [dict(type='NumClassCheckHook')]
