_base_ = [
    './_base_/ssd512_hardnet68.py',
    './_base_/schedule_ssd512.py',
    'mmdet::_base_/datasets/coco_detection.py',
]

# ImageNet's weights, as the original starts from; --cfg-options load_from=None leaves them out
load_from = 'hardnet://hardnet68_base_bridge'

# The original's boxes of COCO end at their last pixel, and so do those of its weights. Where one
# of these two goes, the other must, too.
model = dict(bbox_head=dict(inclusive_boxes=True))
train_pipeline = [*_base_.ssd_load, dict(type='InclusiveBoxes'), *_base_.ssd_augment]
test_pipeline = _base_.ssd_test_pipeline

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    batch_sampler=None,  # images are stretched to one shape
    dataset=dict(
        filter_cfg=dict(_delete_=True, filter_empty_gt=False),  # the original keeps every image
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(proposal_nums=(100, 1, 10))  # AP of up to 100 boxes, as COCO's own
test_evaluator = val_evaluator
