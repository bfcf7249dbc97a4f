import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, METRICS
from PIL import Image

import hardnet_mm.seg  # noqa: F401

# cityscapesScripts, helpers/labels.py: the name of each class that is evaluated, and its id
IDS = {
    'road': 7, 'sidewalk': 8, 'building': 11, 'wall': 12, 'fence': 13, 'pole': 17,
    'traffic light': 19, 'traffic sign': 20, 'vegetation': 21, 'terrain': 22, 'sky': 23,
    'person': 24, 'rider': 25, 'car': 26, 'truck': 27, 'bus': 28, 'train': 31,
    'motorcycle': 32, 'bicycle': 33,
}  # fmt: skip


@pytest.fixture
def cfg(root, tmp_path):
    init_default_scope('mmseg')
    cfg = Config.fromfile(root / 'configs/fchardnet70_cityscapes_test-server.py')
    cfg.test_evaluator.output_dir = str(tmp_path / 'ids')
    return cfg


def test_predictions_are_written_as_the_server_takes_them(cfg, tmp_path):
    dataset = cfg.test_dataloader.dataset
    folder = tmp_path / 'leftImg8bit/test/berlin'
    folder.mkdir(parents=True)
    name = 'berlin_000000_000019_leftImg8bit.png'
    Image.fromarray(np.zeros((19, 4, 3), np.uint8)).save(folder / name)
    data = DATASETS.build({**dataset, 'data_root': str(tmp_path)})
    (item,) = data
    assert item['data_samples'].img_path.endswith(name)
    assert 'gt_sem_seg' not in item['data_samples']  # nobody has them

    writer = METRICS.build(cfg.test_evaluator)
    writer.dataset_meta = data.metainfo
    classes = torch.arange(19)[:, None].expand(19, 4)[None]
    sample = dict(img_path=item['data_samples'].img_path, pred_sem_seg=dict(data=classes))
    writer.process({}, [sample])
    assert writer.evaluate(1) == {}
    written = np.asarray(Image.open(tmp_path / 'ids' / name))
    assert written.shape == (19, 4) and written.dtype == np.uint8
    names = data.metainfo['classes']
    assert {names[row]: ids[0] for row, ids in enumerate(written)} == IDS
    assert torch.equal(sample['pred_sem_seg']['data'], classes)  # others may measure it
