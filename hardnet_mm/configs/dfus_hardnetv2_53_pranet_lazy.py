# HarDNet-DFUS on PraNet's split, as in YuWenLo/HarDNet-DFUS: training on 900 images of Kvasir-SEG
# and 550 of CVC-ClinicDB, and five test sets with separate metrics.
#
# From configs/dfus_hardnetv2-53_pranet.py
# by tools/pure_python_configs.py: change the former, then run the latter.

from mmengine.config import read_base
from mmengine.dataset import ConcatDataset

from hardnet_mm.seg import PolypDataset

with read_base():
    from .dfus_hardnetv2_53_kvasir_lazy import *

folders = ('Kvasir', 'CVC-ClinicDB', 'CVC-ColonDB', 'ETIS-LaribPolypDB', 'CVC-300')
train_dataloader.update(
    dataset=dict(
        data_prefix=dict(img_path='pranet-train/images', seg_map_path='pranet-train/masks'),
    ),
)
val_dataloader.merge(
    dict(
        dataset=dict(
            _delete_=True,
            type=ConcatDataset,
            datasets=[
                dict(
                    data_prefix=dict(img_path='Kvasir/images', seg_map_path='Kvasir/masks'),
                    pipeline=test_pipeline,
                    type=PolypDataset,
                    data_root='data/polyps',
                ),
                dict(
                    data_prefix=dict(
                        img_path='CVC-ClinicDB/images',
                        seg_map_path='CVC-ClinicDB/masks',
                    ),
                    pipeline=test_pipeline,
                    type=PolypDataset,
                    data_root='data/polyps',
                ),
                dict(
                    data_prefix=dict(
                        img_path='CVC-ColonDB/images',
                        seg_map_path='CVC-ColonDB/masks',
                    ),
                    pipeline=test_pipeline,
                    type=PolypDataset,
                    data_root='data/polyps',
                ),
                dict(
                    data_prefix=dict(
                        img_path='ETIS-LaribPolypDB/images',
                        seg_map_path='ETIS-LaribPolypDB/masks',
                    ),
                    pipeline=test_pipeline,
                    type=PolypDataset,
                    data_root='data/polyps',
                ),
                dict(
                    data_prefix=dict(img_path='CVC-300/images', seg_map_path='CVC-300/masks'),
                    pipeline=test_pipeline,
                    type=PolypDataset,
                    data_root='data/polyps',
                ),
            ],
        ),
    )
)
test_dataloader = val_dataloader
val_evaluator.update(by_folder=True)
test_evaluator = val_evaluator
