# UPerNet on HarDNet85: what another variant changes is its channels.
_base_ = './upernet_hardnet68_4xb4-80k_ade20k-512x512.py'

channels = [192, 320, 720, 1280]
model = dict(
    backbone=dict(arch='hardnet85', init_cfg=dict(checkpoint='hardnet://hardnet85')),
    decode_head=dict(in_channels=channels),
    auxiliary_head=dict(in_channels=channels[2]),
)
