# OCRNet on HarDNet68, its last two stages dilated: outputs at stride 8.
_base_ = [
    '../_base_/hardnet68_segmentor.py',
    '../_base_/ade20k.py',
    '../_base_/schedule_80k.py',
    '../_base_/mmseg_runtime.py',
]

model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    backbone=dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
    decode_head=[
        _base_.auxiliary_head,  # its prediction is what OCR refines
        dict(
            type='OCRHead',
            in_channels=_base_.channels[3],
            in_index=3,
            channels=512,
            ocr_channels=256,
            **_base_.head,
        ),
    ],
    auxiliary_head=None,
)
