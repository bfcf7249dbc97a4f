_base_ = ['./ssd512_hardnet68_voc0712.py', './_base_/rfb512.py']

model = dict(
    neck=dict(_delete_=True, **_base_.rfb512_neck),
    bbox_head=dict(in_channels=_base_.rfb512_channels),
)
