# CenterNet on HarDNet85, as in PingoLH/CenterNet-HarDNet: model, normalisation, augmentation.
#
# From configs/_base_/centernet_hardnet85.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile, TestTimeAug
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, RandomFlip, Resize
from mmdet.engine import NumClassCheckHook
from mmdet.models import CenterNet, DetDataPreprocessor, GaussianFocalLoss, L1Loss

from hardnet_mm import HarDNet
from hardnet_mm.det import (
    CTColorJitter,
    CTFlipTTAModel,
    CTHarDNetHead,
    CTHarDNetNeck,
    LoadOptionalMasks,
    RandomScaleShift,
    TrainIgnoredBoxes,
    VisibleBoxes,
)

custom_imports = dict(imports=['hardnet_mm.det'])
input_size = (512, 512)
skip_channels = (214, 458, 784)
model = dict(
    type=CenterNet,
    data_preprocessor=dict(
        type=DetDataPreprocessor,
        mean=[104.0136177, 114.0342201, 119.91659325],
        std=[73.6027614, 69.8908182, 70.91507925],
        bgr_to_rgb=False,
    ),
    backbone=dict(
        type=HarDNet,
        arch='hardnet85',
        out_indices=('block0', 'block1', 'block2'),
        pool='avg',
        ceil_mode=(False, True, False),
        act_cfg=dict(type='ReLU'),
    ),
    neck=dict(
        type=CTHarDNetNeck,
        in_channels=skip_channels,
        projection_channels=(256, 256, 192, 96),
        growth_rates=(80, 64, 48, 28),
        num_layers=(8, 8, 8, 4),
        shortcut_channels=(32, 32, 0),
    ),
    bbox_head=dict(
        type=CTHarDNetHead,
        in_channels=200,
        num_classes=80,
        loss_center_heatmap=dict(type=GaussianFocalLoss, alpha=2.0, gamma=4.0, loss_weight=1.0),
        loss_wh=dict(type=L1Loss, loss_weight=0.05),
        loss_offset=dict(type=L1Loss, loss_weight=0.5),
    ),
    train_cfg=None,
    test_cfg=dict(topk=100, local_maximum_kernel=3, max_per_img=100),
)
custom_hooks = [dict(type=NumClassCheckHook)]
tta_model = dict(type=CTFlipTTAModel)
centernet_train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=LoadOptionalMasks),
    dict(type=TrainIgnoredBoxes),
    dict(type=RandomFlip, prob=0.5),
    dict(type=RandomScaleShift, scale=(512, 512)),
    dict(type=VisibleBoxes),
    dict(type=CTColorJitter),
    dict(type=PackDetInputs),
]
centernet_test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(512, 512), keep_ratio=False),
    dict(type=LoadAnnotations, with_bbox=True),
    dict(
        type=PackDetInputs,
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
centernet_tta_pipeline = [
    dict(type=LoadImageFromFile),
    dict(
        type=TestTimeAug,
        transforms=[
            [dict(type=Resize, scale=(512, 512), keep_ratio=False)],
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
