# HarDNet-DFUS, as in kytimmylai/DFUC2022: model, normalisation and losses. Training starts from
# ImageNet weights, as in the original. --cfg-options model.backbone.init_cfg=None starts from
# random weights.
custom_imports = dict(imports=['hardnet_mm.seg'])

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=64,
        pad_val=0,
        seg_pad_val=0,
        test_cfg=dict(size_divisor=64),
    ),
    backbone=dict(
        type='HarDNetV2',
        arch='hardnetv2_53',
        out_indices=('block0', 1, 2, 3),  # strides 4, 8, 16, 32
        init_cfg=dict(type='Pretrained', checkpoint='hardnet://hardnetv2_53'),
    ),
    decode_head=dict(
        type='LawinHead',
        in_channels=(140, 540, 800, 1200),
        loss_decode=dict(type='StructureLoss', weighted_cross_entropy=True),
        loss_boundary=dict(type='LaplacianBoundaryLoss'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
