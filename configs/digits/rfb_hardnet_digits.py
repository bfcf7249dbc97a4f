# RFBNet on the small HarDNet: SSD's config of the digits with another neck.
_base_ = './ssd_hardnet_digits.py'

model = dict(
    neck=dict(
        _delete_=True,
        type='RFBNeck',
        in_channels=_base_.level_channels[:2],
        out_channels=_base_.level_channels,
        block_strides=(1,),
        block_dilations=((2, 3),),
        level_strides=(1,),
        level_paddings=(1,),
        last_kernel_size=3,
    ),
)
