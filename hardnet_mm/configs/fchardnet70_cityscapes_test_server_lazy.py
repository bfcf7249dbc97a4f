# Predictions of the test images for the Cityscapes server, as PNG files of label ids.
#
# From configs/fchardnet70_cityscapes_test-server.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmcv import LoadImageFromFile
from mmengine.config import read_base
from mmseg.datasets import PackSegInputs
from mmseg.datasets.transforms import Resize

from hardnet_mm.seg import CityscapesLabelIdWriter

with read_base():
    from .fchardnet70_cityscapes_lazy import *

test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(2048, 1024), keep_ratio=True),
    dict(type=PackSegInputs),
]
test_dataloader.merge(
    dict(
        dataset=dict(
            data_prefix=dict(_delete_=True, img_path='leftImg8bit/test'),
            pipeline=test_pipeline,
        ),
    )
)
test_evaluator.merge(
    dict(
        _delete_=True,
        type=CityscapesLabelIdWriter,
        output_dir='work_dirs/fchardnet70_cityscapes_test-server/label_ids',
    )
)
