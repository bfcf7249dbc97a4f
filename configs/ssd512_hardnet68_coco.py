# The original starts from ImageNet weights: --cfg-options load_from=hardnet://hardnet68_base_bridge
_base_ = [
    './_base_/ssd512_hardnet68.py',
    './_base_/schedule_ssd512.py',
    'mmdet::_base_/datasets/coco_detection.py',
]

train_pipeline = _base_.ssd_train_pipeline
test_pipeline = _base_.ssd_test_pipeline

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    batch_sampler=None,  # images are stretched to one shape
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
