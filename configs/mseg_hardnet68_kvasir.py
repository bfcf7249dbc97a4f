# HarDNet-MSEG on Kvasir-SEG, 880 images for training and 120 for testing. Training starts from
# ImageNet weights, as in the original. --cfg-options model.backbone.init_cfg=None starts from
# random weights.
_base_ = [
    './_base_/mseg_hardnet68.py',
    './_base_/polyps.py',
    './_base_/schedule_mseg.py',
]
