# FC-HarDNet-70, as in PingoLH/FCHarDNet: model, normalisation and loss.
custom_imports = dict(imports=['hardnet_mm.seg'])

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[103.53, 116.28, 123.675],  # BGR
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False,
        size=(128, 128),  # of the crops
        pad_val=0,
        seg_pad_val=255,
    ),
    backbone=dict(
        type='HarDNet',
        arch='fchardnet70',
        out_indices=('block0', 'block1', 'block2', 'block3', 4),
    ),
    decode_head=dict(
        type='FCHarDNetHead',
        in_channels=(48, 78, 160, 214, 320),
        growth_rates=(10, 16, 18, 24),
        num_layers=(4, 4, 8, 8),
        num_classes=19,
        loss_decode=dict(type='BootstrappedCrossEntropyLoss', threshold=0.3, min_kept=4096),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
