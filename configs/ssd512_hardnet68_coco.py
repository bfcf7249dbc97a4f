_base_ = [
    './_base_/ssd512_hardnet68.py',
    './_base_/schedule_ssd512.py',
    'mmdet::_base_/datasets/coco_detection.py',
]

# ImageNet weights, as in the original; --cfg-options load_from=None starts from random weights
load_from = 'hardnet://hardnet68_base_bridge'

# The original uses inclusive box coordinates on COCO, and so do its weights. Remove both of these
# settings, or neither.
model = dict(bbox_head=dict(inclusive_boxes=True))
train_pipeline = [*_base_.ssd_load, dict(type='InclusiveBoxes'), *_base_.ssd_augment]
test_pipeline = _base_.ssd_test_pipeline

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    batch_sampler=None,  # all images are resized to one shape
    dataset=dict(
        filter_cfg=dict(_delete_=True, filter_empty_gt=False),  # the original keeps every image
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(proposal_nums=(100, 1, 10))  # AP of up to 100 boxes, as COCO's tool
test_evaluator = val_evaluator
