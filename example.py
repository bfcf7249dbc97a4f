custom_imports = dict(
    imports=[
        'hardnet_mm.seg',
    ]
)
dataset = dict(
    data_root='data/digits',
    metainfo=dict(
        classes=(
            'background',
            '0',
            '1',
            '2',
            '3',
            '4',
            '5',
            '6',
            '7',
            '8',
            '9',
        )
    ),
    type='BaseSegDataset',
)
default_hooks = dict(
    checkpoint=dict(by_epoch=True, interval=1, type='CheckpointHook'),
    labels=dict(type='LabelCheckHook'),
    logger=dict(interval=25, log_metric_by_epoch=True, type='LoggerHook'),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    timer=dict(type='IterTimerHook'),
    visualization=dict(type='SegVisualizationHook'),
)
default_scope = 'mmseg'
digits_arch = dict(
    downsample=(
        1,
        1,
        0,
    ),
    growth_multiplier=1.7,
    growth_rates=(
        8,
        16,
        24,
    ),
    num_layers=(
        4,
        8,
        8,
    ),
    stem_channels=(
        16,
        32,
    ),
    stem_pool=False,
    stem_strides=(
        2,
        2,
    ),
    transition_channels=(
        48,
        128,
        192,
    ),
)
digits_epochs = 5
digits_schedule = [
    dict(begin=0, convert_to_iter_based=True, end=1, start_factor=0.01, type='LinearLR'),
    dict(
        T_max=4,
        begin=1,
        convert_to_iter_based=True,
        end=5,
        eta_min_ratio=0.001,
        type='CosineAnnealingLR',
    ),
]
env_cfg = dict(
    cudnn_benchmark=True,
    dist_cfg=dict(backend='nccl'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
)
load_from = None
log_level = 'INFO'
log_processor = dict(by_epoch=True)
model = dict(
    backbone=dict(
        arch='fchardnet70',
        out_indices=(
            'block0',
            'block1',
            'block2',
            'block3',
            4,
        ),
        type='HarDNet',
    ),
    data_preprocessor=dict(
        bgr_to_rgb=False,
        mean=[
            103.53,
            116.28,
            123.675,
        ],
        pad_val=0,
        seg_pad_val=255,
        size=(
            128,
            128,
        ),
        std=[
            57.375,
            57.12,
            58.395,
        ],
        type='SegDataPreProcessor',
    ),
    decode_head=dict(
        growth_rates=(
            10,
            16,
            18,
            24,
        ),
        in_channels=(
            48,
            78,
            160,
            214,
            320,
        ),
        loss_decode=dict(min_kept=4096, threshold=0.3, type='BootstrappedCrossEntropyLoss'),
        num_classes=11,
        num_layers=(
            4,
            4,
            8,
            8,
        ),
        type='FCHarDNetHead',
    ),
    test_cfg=dict(mode='whole'),
    train_cfg=dict(),
    type='EncoderDecoder',
)
optim_wrapper = dict(optimizer=dict(lr=0.004, type='AdamW', weight_decay=0.05), type='OptimWrapper')
param_scheduler = [
    dict(begin=0, convert_to_iter_based=True, end=1, start_factor=0.01, type='LinearLR'),
    dict(
        T_max=4,
        begin=1,
        convert_to_iter_based=True,
        end=5,
        eta_min_ratio=0.001,
        type='CosineAnnealingLR',
    ),
]
resume = False
scale = (
    128,
    128,
)
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=1,
    dataset=dict(
        data_prefix=dict(img_path='val', seg_map_path='masks/val'),
        data_root='/tmp/pytest-of-root/pytest-156/data0/digits',
        metainfo=dict(
            classes=(
                'background',
                '0',
                '1',
                '2',
                '3',
                '4',
                '5',
                '6',
                '7',
                '8',
                '9',
            )
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                scale=(
                    128,
                    128,
                ),
                type='Resize',
            ),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
        type='BaseSegDataset',
    ),
    num_workers=1,
    persistent_workers=True,
    sampler=dict(shuffle=False, type='DefaultSampler'),
)
test_evaluator = dict(
    iou_metrics=[
        'mIoU',
    ],
    type='IoUMetric',
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        scale=(
            128,
            128,
        ),
        type='Resize',
    ),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_cfg = dict(max_epochs=5, type='EpochBasedTrainLoop', val_interval=5)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data_prefix=dict(img_path='train', seg_map_path='masks/train'),
        data_root='/tmp/pytest-of-root/pytest-156/data0/digits',
        metainfo=dict(
            classes=(
                'background',
                '0',
                '1',
                '2',
                '3',
                '4',
                '5',
                '6',
                '7',
                '8',
                '9',
            )
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(
                scale=(
                    128,
                    128,
                ),
                type='Resize',
            ),
            dict(type='PackSegInputs'),
        ],
        type='BaseSegDataset',
    ),
    num_workers=1,
    persistent_workers=True,
    sampler=dict(shuffle=True, type='DefaultSampler'),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        scale=(
            128,
            128,
        ),
        type='Resize',
    ),
    dict(type='PackSegInputs'),
]
tta_model = dict(type='SegTTAModel')
val_cfg = dict(type='ValLoop')
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        data_prefix=dict(img_path='val', seg_map_path='masks/val'),
        data_root='/tmp/pytest-of-root/pytest-156/data0/digits',
        metainfo=dict(
            classes=(
                'background',
                '0',
                '1',
                '2',
                '3',
                '4',
                '5',
                '6',
                '7',
                '8',
                '9',
            )
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(
                scale=(
                    128,
                    128,
                ),
                type='Resize',
            ),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
        type='BaseSegDataset',
    ),
    num_workers=1,
    persistent_workers=True,
    sampler=dict(shuffle=False, type='DefaultSampler'),
)
val_evaluator = dict(
    iou_metrics=[
        'mIoU',
    ],
    type='IoUMetric',
)
vis_backends = [
    dict(type='LocalVisBackend'),
]
visualizer = dict(
    name='visualizer',
    type='SegLocalVisualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
    ],
)
