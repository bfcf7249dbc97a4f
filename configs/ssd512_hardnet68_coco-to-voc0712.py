# Training starts from the published COCO weights. COCO has all classes of Pascal VOC. No schedule
# for this is published: here the learning rate is a fourth, and the epochs half, of those from
# ImageNet.
_base_ = './ssd512_hardnet68_voc0712.py'

load_from = 'hardnet://ssd512_hardnet68_coco'
custom_hooks = [*_base_.custom_hooks, dict(type='ClassesFromCOCOHook')]

train_cfg = dict(max_epochs=150)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[75, 100, 125], gamma=0.1, by_epoch=True, end=150),
]
