# DeepLabV3+ on HarDNet68, its last stage dilated: outputs at stride 16.
_base_ = [
    '../_base_/hardnet68_segmentor.py',
    '../_base_/ade20k.py',
    '../_base_/schedule_80k.py',
    '../_base_/mmseg_runtime.py',
]

model = dict(
    backbone=dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_channels=_base_.channels[3],
        in_index=3,
        channels=512,
        dilations=(1, 6, 12, 18),
        c1_in_channels=_base_.channels[0],
        c1_channels=48,
        **_base_.head,
    ),
)
