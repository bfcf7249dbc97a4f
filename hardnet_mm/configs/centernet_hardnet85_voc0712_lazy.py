# No results of this are published. The image size of 384 x 384 is that of the original program for
# Pascal VOC. The epochs and steps are those of CenterNet's authors for VOC.
#
# From configs/centernet_hardnet85_voc0712.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, TestTimeAug
from mmdet.datasets import VOCDataset
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, RandomFlip, Resize
from mmengine.config import read_base
from mmengine.optim import MultiStepLR

from hardnet_mm.det import CTColorJitter, RandomScaleShift, TrainIgnoredBoxes, VisibleBoxes

with read_base():
    from ._base_.centernet_hardnet85 import *
    from ._base_.mmdet_voc0712 import *
    from ._base_.schedule_centernet import *

load_from = 'hardnet://hardnet85_base'
model.update(bbox_head=dict(num_classes=20))
input_size = (384, 384)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadAnnotations, with_bbox=True),
    dict(type=TrainIgnoredBoxes),
    dict(type=RandomFlip, prob=0.5),
    dict(type=RandomScaleShift, scale=(384, 384)),
    dict(type=VisibleBoxes),
    dict(type=CTColorJitter),
    dict(type=PackDetInputs),
]
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(384, 384), keep_ratio=False),
    dict(type=LoadAnnotations, with_bbox=True),
    dict(
        type=PackDetInputs,
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
tta_pipeline = [
    dict(type=LoadImageFromFile),
    dict(
        type=TestTimeAug,
        transforms=[
            [dict(type=Resize, scale=(384, 384), keep_ratio=False)],
            [dict(type=RandomFlip, prob=1.0), dict(type=RandomFlip, prob=0.0)],
            [dict(type=LoadAnnotations, with_bbox=True)],
            [
                dict(
                    type=PackDetInputs,
                    meta_keys=(
                        'img_id',
                        'img_path',
                        'ori_shape',
                        'img_shape',
                        'scale_factor',
                        'flip',
                        'flip_direction',
                    ),
                ),
            ],
        ],
    ),
]
datasets = [
    dict(
        type=VOCDataset,
        data_root='data/VOCdevkit/',
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
        backend_args=None,
    ),
    dict(
        type=VOCDataset,
        data_root='data/VOCdevkit/',
        ann_file='VOC2012/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root='VOC2012/'),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
        backend_args=None,
    ),
]
train_dataloader.update(
    batch_size=48,
    num_workers=8,
    batch_sampler=None,
    dataset=dict(times=1, dataset=dict(datasets=datasets)),
)
val_dataloader.update(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=48)
train_cfg.update(max_epochs=70, val_interval=5)
param_scheduler = [
    centernet_warm_up,
    dict(type=MultiStepLR, milestones=[45, 60], gamma=0.1, by_epoch=True, end=70),
]
centernet_tta_pipeline = tta_pipeline
dataset = dict(
    type=VOCDataset,
    data_root='data/VOCdevkit/',
    ann_file='VOC2012/ImageSets/Main/trainval.txt',
    data_prefix=dict(sub_data_root='VOC2012/'),
    filter_cfg=dict(filter_empty_gt=False),
    pipeline=train_pipeline,
    backend_args=None,
)
