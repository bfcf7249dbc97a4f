# The whole swap: an import, the backbone, and the channels of what follows it.
_base_ = './plain.py'

custom_imports = dict(imports=['hardnet_mm'])
model = dict(
    backbone=dict(_delete_=True, type='HarDNet', arch='hardnet39ds', out_indices=(1,)),
    channels=320,
)
