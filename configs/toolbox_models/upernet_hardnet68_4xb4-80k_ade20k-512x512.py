# UPerNet on HarDNet68.
_base_ = [
    '../_base_/hardnet68_segmentor.py',
    '../_base_/ade20k.py',
    '../_base_/schedule_80k.py',
    '../_base_/mmseg_runtime.py',
]

model = dict(
    decode_head=dict(
        type='UPerHead',
        in_channels=_base_.channels,
        in_index=[0, 1, 2, 3],
        channels=512,
        pool_scales=(1, 2, 3, 6),
        **_base_.head,
    ),
)
