# Kvasir-SEG, 880 images to train on and 120 to test. It starts from ImageNet weights, as the
# original does. --cfg-options model.backbone.init_cfg=None leaves them out.
_base_ = [
    './_base_/mseg_hardnet68.py',
    './_base_/polyps.py',
    './_base_/schedule_mseg.py',
]
