# mmdet reads Pascal VOC's boxes with inclusive coordinates already, and VOCMetric expects these.
#
# From configs/ssd512_hardnet68_voc0712.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmdet.datasets import VOCDataset
from mmengine.config import read_base
from mmengine.optim import MultiStepLR

with read_base():
    from ._base_.mmdet_voc0712 import *
    from ._base_.schedule_ssd512 import *
    from ._base_.ssd512_hardnet68 import *

load_from = 'hardnet://hardnet68_base_bridge'
model.update(
    bbox_head=dict(
        num_classes=20,
        anchor_generator=dict(
            min_sizes=[35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8],
            max_sizes=[76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6],
        ),
    ),
    test_cfg=dict(max_per_img=300),
)
train_pipeline = ssd_train_pipeline
test_pipeline = ssd_test_pipeline
datasets = [
    dict(
        type=VOCDataset,
        data_root='data/VOCdevkit/',
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=ssd_train_pipeline,
        backend_args=None,
    ),
    dict(
        type=VOCDataset,
        data_root='data/VOCdevkit/',
        ann_file='VOC2012/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root='VOC2012/'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=ssd_train_pipeline,
        backend_args=None,
    ),
]
train_dataloader.update(
    batch_size=32,
    num_workers=8,
    batch_sampler=None,
    dataset=dict(times=1, dataset=dict(datasets=datasets)),
)
val_dataloader.update(batch_size=8, dataset=dict(pipeline=ssd_test_pipeline))
test_dataloader = val_dataloader
train_cfg.update(max_epochs=300)
param_scheduler = [
    dict(type=MultiStepLR, milestones=[150, 200, 250], gamma=0.1, by_epoch=True, end=300),
]
dataset = dict(
    type=VOCDataset,
    data_root='data/VOCdevkit/',
    ann_file='VOC2012/ImageSets/Main/trainval.txt',
    data_prefix=dict(sub_data_root='VOC2012/'),
    filter_cfg=dict(filter_empty_gt=False),
    pipeline=ssd_train_pipeline,
    backend_args=None,
)
