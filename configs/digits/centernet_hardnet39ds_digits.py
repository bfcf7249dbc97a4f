# The same on HarDNet39DS: neck and head take any HarDNet by its channels.
_base_ = './centernet_hardnet_digits.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='HarDNet',
        arch='hardnet39ds',
        out_indices=('block0', 'block1', 'block2'),
    ),
    neck=dict(in_channels=(72, 292, 518)),
)
