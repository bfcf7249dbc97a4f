# RFBNet512 is SSD512 with another neck. The original trains both with the same program, so the
# notes in _base_/schedule_ssd512.py apply here, too: steps at 90, 120 and 140 of at most 300
# epochs.
_base_ = ['./ssd512_hardnet68_coco.py', './_base_/rfb512.py']

model = dict(
    neck=dict(_delete_=True, **_base_.rfb512_neck),
    bbox_head=dict(in_channels=_base_.rfb512_channels),
)
