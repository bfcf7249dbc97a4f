# No results of this are published. The image size of 384 x 384 is that of the original program for
# Pascal VOC. The epochs and steps are those of CenterNet's authors for VOC.
_base_ = [
    './_base_/centernet_hardnet85.py',
    'mmdet::_base_/datasets/voc0712.py',
    './_base_/schedule_centernet.py',
]

# ImageNet weights, as in the original; --cfg-options load_from=None starts from random weights
load_from = 'hardnet://hardnet85_base'

model = dict(bbox_head=dict(num_classes=20))

input_size = (384, 384)
train_pipeline = [
    {**step, 'scale': input_size} if step['type'] == 'RandomScaleShift' else step
    for step in _base_.centernet_train_pipeline
    if step['type'] != 'LoadOptionalMasks'  # VOC's boxes have no masks
]
train_pipeline.insert(1, dict(type='LoadAnnotations', with_bbox=True))
test_pipeline = [
    {**step, 'scale': input_size} if step['type'] == 'Resize' else step
    for step in _base_.centernet_test_pipeline
]
tta_pipeline = _base_.centernet_tta_pipeline
tta_pipeline[1]['transforms'][0][0]['scale'] = input_size

datasets = _base_.train_dataloader.dataset.dataset.datasets
for dataset in datasets:
    dataset.pipeline = train_pipeline
    # train on small boxes, too; mmdet would ignore boxes of less than 32 pixels
    dataset.filter_cfg = dict(filter_empty_gt=False)
train_dataloader = dict(
    batch_size=48,
    num_workers=8,
    batch_sampler=None,
    dataset=dict(times=1, dataset=dict(datasets=datasets)),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# in total; --auto-scale-lr scales lr for other batches
auto_scale_lr = dict(enable=False, base_batch_size=48)

train_cfg = dict(max_epochs=70, val_interval=5)
param_scheduler = [
    _base_.centernet_warm_up,
    dict(type='MultiStepLR', milestones=[45, 60], gamma=0.1, by_epoch=True, end=70),
]
