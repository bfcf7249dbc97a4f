# HarDNet68 with mmseg's own heads, with the recipe of mmseg's ResNet-50 on ADE20K.
custom_imports = dict(imports=['hardnet_mm'])

channels = [128, 320, 640, 1024]  # of HarDNet68, at strides 4, 8, 16, 32
norm_cfg = dict(type='SyncBN', requires_grad=True)
head = dict(
    dropout_ratio=0.1,
    num_classes=150,
    norm_cfg=norm_cfg,
    align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
)
auxiliary_head = dict(
    type='FCNHead',
    in_channels=channels[2],
    in_index=2,
    channels=256,
    num_convs=1,
    concat_input=False,
    dropout_ratio=0.1,
    num_classes=150,
    norm_cfg=norm_cfg,
    align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
)

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(512, 512),  # of the crops
        pad_val=0,
        seg_pad_val=255,
    ),
    backbone=dict(
        type='HarDNet',
        arch='hardnet68',
        norm_cfg=norm_cfg,
        init_cfg=dict(type='Pretrained', checkpoint='hardnet://hardnet68'),
    ),
    auxiliary_head=auxiliary_head,
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
