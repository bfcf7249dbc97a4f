# From configs/ssd512_hardnet68_coco.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base

from hardnet_mm.det import InclusiveBoxes

with read_base():
    from ._base_.mmdet_coco_detection import *
    from ._base_.schedule_ssd512 import *
    from ._base_.ssd512_hardnet68 import *

load_from = 'hardnet://hardnet68_base_bridge'
model.update(bbox_head=dict(inclusive_boxes=True))
train_pipeline = [*ssd_load, dict(type=InclusiveBoxes), *ssd_augment]
test_pipeline = ssd_test_pipeline
train_dataloader.merge(
    dict(
        batch_size=32,
        num_workers=8,
        batch_sampler=None,
        dataset=dict(
            filter_cfg=dict(_delete_=True, filter_empty_gt=False),
            pipeline=train_pipeline,
        ),
    )
)
val_dataloader.update(batch_size=8, dataset=dict(pipeline=ssd_test_pipeline))
test_dataloader = val_dataloader
val_evaluator.update(proposal_nums=(100, 1, 10))
test_evaluator = val_evaluator
