# PSPNet on HarDNet68, its last two stages dilated: outputs at stride 8.
_base_ = [
    '../_base_/hardnet68_segmentor.py',
    '../_base_/ade20k.py',
    '../_base_/schedule_80k.py',
    '../_base_/mmseg_runtime.py',
]

model = dict(
    backbone=dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
    decode_head=dict(
        type='PSPHead',
        in_channels=_base_.channels[3],
        in_index=3,
        channels=512,
        pool_scales=(1, 2, 3, 6),
        **_base_.head,
    ),
)
