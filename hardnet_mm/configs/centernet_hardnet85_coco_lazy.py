# From configs/centernet_hardnet85_coco.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.optim import MultiStepLR

with read_base():
    from ._base_.centernet_hardnet85 import *
    from ._base_.mmdet_coco_detection import *
    from ._base_.schedule_centernet import *

load_from = 'hardnet://hardnet85_base'
train_pipeline = centernet_train_pipeline
test_pipeline = centernet_test_pipeline
tta_pipeline = centernet_tta_pipeline
train_dataloader.merge(
    dict(
        batch_size=48,
        num_workers=8,
        batch_sampler=None,
        dataset=dict(
            filter_cfg=dict(_delete_=True, filter_empty_gt=False),
            pipeline=centernet_train_pipeline,
        ),
    )
)
val_dataloader.update(batch_size=8, dataset=dict(pipeline=centernet_test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=48)
val_evaluator.update(proposal_nums=(100, 1, 10))
test_evaluator = val_evaluator
train_cfg.update(max_epochs=300, val_interval=10)
param_scheduler = [
    centernet_warm_up,
    dict(type=MultiStepLR, milestones=[230, 280], gamma=0.1, by_epoch=True, end=300),
]
