# No results of this are published. The original program has Pascal VOC at 384 x 384; the epochs and
# steps are those that CenterNet's authors give for VOC.
_base_ = [
    './_base_/centernet_hardnet85.py',
    'mmdet::_base_/datasets/voc0712.py',
    './_base_/schedule_centernet.py',
]

# ImageNet's weights, as the original starts from; --cfg-options load_from=None leaves them out
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
    # small boxes train, too: mmdet would ignore those of less than 32 pixels
    dataset.filter_cfg = dict(filter_empty_gt=False)
train_dataloader = dict(
    batch_size=48,
    num_workers=8,
    batch_sampler=None,
    dataset=dict(times=1, dataset=dict(datasets=datasets)),
)
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# in all; --auto-scale-lr scales lr for other batches
auto_scale_lr = dict(enable=False, base_batch_size=48)

train_cfg = dict(max_epochs=70, val_interval=5)
param_scheduler = [
    _base_.centernet_warm_up,
    dict(type='MultiStepLR', milestones=[45, 60], gamma=0.1, by_epoch=True, end=70),
]
