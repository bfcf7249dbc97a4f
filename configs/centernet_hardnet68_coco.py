_base_ = './centernet_hardnet85_coco.py'

load_from = 'hardnet://hardnet68_base'

model = dict(
    backbone=dict(arch='hardnet68'),
    neck=dict(
        in_channels=(124, 328, 654),
        projection_channels=(192, 256, 128, 64),
        growth_rates=(72, 48, 32, 20),
        use_skips=(True, True, False),
    ),
    bbox_head=dict(in_channels=162),
)

# Its own schedule (the original's experiments/ctdet_coco_hardnet68.sh).
train_dataloader = dict(batch_size=24)
auto_scale_lr = dict(base_batch_size=24)
train_cfg = dict(max_epochs=150)
optim_wrapper = dict(optimizer=dict(lr=5e-3))
param_scheduler = [
    dict(_base_.centernet_warm_up, factor=5e-5 / 5e-3),
    dict(type='MultiStepLR', milestones=[100, 130], gamma=0.1, by_epoch=True, end=150),
]
