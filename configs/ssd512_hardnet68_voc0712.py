# mmdet reads Pascal VOC's boxes with inclusive coordinates already, and VOCMetric expects these.
_base_ = [
    './_base_/ssd512_hardnet68.py',
    './_base_/schedule_ssd512.py',
    'mmdet::_base_/datasets/voc0712.py',
]

# ImageNet weights, as in the original; --cfg-options load_from=None starts from random weights
load_from = 'hardnet://hardnet68_base_bridge'

model = dict(
    bbox_head=dict(
        num_classes=20,
        anchor_generator=dict(
            min_sizes=[35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8],
            max_sizes=[76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6],
        ),
    ),
    test_cfg=dict(max_per_img=300),
)

train_pipeline = _base_.ssd_train_pipeline
test_pipeline = _base_.ssd_test_pipeline

datasets = _base_.train_dataloader.dataset.dataset.datasets
for dataset in datasets:
    dataset.pipeline = train_pipeline
    # train on small boxes, as the original; mmdet would ignore boxes of less than 32 pixels
    dataset.filter_cfg = dict(filter_empty_gt=False)
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    batch_sampler=None,
    dataset=dict(times=1, dataset=dict(datasets=datasets)),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# the program's steps for VOC
train_cfg = dict(max_epochs=300)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[150, 200, 250], gamma=0.1, by_epoch=True, end=300),
]
