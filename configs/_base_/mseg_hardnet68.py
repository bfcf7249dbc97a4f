# HarDNet-MSEG, as in james128333/HarDNet-MSEG: model, normalisation and loss.
custom_imports = dict(imports=['hardnet_mm.seg'])

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=32,
        pad_val=0,
        seg_pad_val=0,
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        type='HarDNet',
        arch='hardnet68',
        out_indices=(1, 2, 3),  # strides 8, 16, 32
        init_cfg=dict(type='Pretrained', checkpoint='hardnet://hardnet68'),
    ),
    decode_head=dict(
        type='HarDNetMSEGHead',
        in_channels=(320, 640, 1024),  # HarDNet85: (320, 720, 1280)
        loss_decode=dict(type='StructureLoss'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
