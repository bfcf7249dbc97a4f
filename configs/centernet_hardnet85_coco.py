_base_ = [
    './_base_/centernet_hardnet85.py',
    'mmdet::_base_/datasets/coco_detection.py',
    './_base_/schedule_centernet.py',
]

# ImageNet weights, as in the original; --cfg-options load_from=None starts from random weights
load_from = 'hardnet://hardnet85_base'

train_pipeline = _base_.centernet_train_pipeline
test_pipeline = _base_.centernet_test_pipeline
tta_pipeline = _base_.centernet_tta_pipeline

train_dataloader = dict(
    batch_size=48,
    num_workers=8,
    batch_sampler=None,  # all images are resized to one shape
    dataset=dict(
        filter_cfg=dict(_delete_=True, filter_empty_gt=False),  # the original keeps every image
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# in total; the published model was trained on two V100 with 24 images each
auto_scale_lr = dict(enable=False, base_batch_size=48)

val_evaluator = dict(proposal_nums=(100, 1, 10))  # AP of up to 100 boxes, as COCO's tool
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=300, val_interval=10)
param_scheduler = [
    _base_.centernet_warm_up,
    dict(type='MultiStepLR', milestones=[230, 280], gamma=0.1, by_epoch=True, end=300),
]
