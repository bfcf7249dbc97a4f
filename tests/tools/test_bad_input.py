"""What a user may get wrong: each is told at once, or handled as mmdet handles it."""

import json
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

CONFIG = 'configs/digits/ssd_hardnet_digits.py'


def test_testing_with_a_checkpoint_of_another_model(root, run_tool, digits, tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.zeros(1)), meta={}), tmp_path / 'other.pth')
    output = run_tool(
        'test.py',
        *(root / CONFIG, tmp_path / 'other.pth', '--work-dir', tmp_path / 'work', '--cfg-options'),
        *(f'{key}_dataloader.dataset.data_root={digits}/' for key in ('train', 'val', 'test')),
        f'test_evaluator.ann_file={digits}/annotations/val.json',
        fails=True,
    )
    last = output.splitlines()[-1]
    assert last.startswith('test.py: error: the checkpoint is not one of this config')


def test_a_missing_data_folder(root, run_tool, tmp_path):
    output = run_tool(
        'train.py', root / CONFIG, '--work-dir', tmp_path / 'work', fails=True, cwd=tmp_path
    )
    last = output.splitlines()[-1]
    keys = [f'{key}_dataloader.dataset.data_root' for key in ('train', 'val')]
    assert last.startswith(
        f'train.py: error: No such file or directory: data/digits/ ({", ".join(keys)}), '
        'data/digits/annotations/val.json (val_evaluator.ann_file): correct these settings '
    )
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize('model', ['ssd', 'centernet'])
def test_classes_that_disagree_with_the_data(root, run_tool, digits, tmp_path, model):
    output = run_tool(
        'train.py',
        *(
            root / f'configs/digits/{model}_hardnet_digits.py',
            '--work-dir',
            tmp_path / 'work',
            '--cfg-options',
        ),
        *(f'{key}_dataloader.dataset.data_root={digits}/' for key in ('train', 'val')),
        f'val_evaluator.ann_file={digits}/annotations/val.json',
        'model.bbox_head.num_classes=7',
        fails=True,
    )
    last = output.splitlines()[-1]
    assert last.startswith('train.py: error: The `num_classes` (7) in ') and '10' in last


def test_boxes_without_area_or_outside_are_left_out(root, digits, tmp_path):
    """As mmdet's CocoDataset does; an image left without boxes trains as background."""
    from mmdet.registry import DATASETS

    shutil.copytree(digits, tmp_path / 'digits')
    path = tmp_path / 'digits/annotations/train.json'
    content = json.loads(path.read_text())
    first, second = content['images'][0]['id'], content['images'][1]['id']
    template = content['annotations'][0]
    boxes = {first: [[10, 10, 0, 20], [500, 500, 20, 20], [10, 10, 20, 20]], second: [[5, 5, 0, 0]]}
    content['annotations'] = [
        dict(template, id=i, image_id=image, bbox=box, area=box[2] * box[3])
        for i, (image, box) in enumerate((m, b) for m, all_ in boxes.items() for b in all_)
    ]
    path.write_text(json.dumps(content))
    init_default_scope('mmdet')
    cfg = Config.fromfile(root / CONFIG).train_dataloader.dataset
    cfg.data_root = str(tmp_path / 'digits') + '/'
    dataset = DATASETS.build(cfg)
    assert len(dataset) == 2
    kept, none = (dataset[i]['data_samples'].gt_instances.bboxes for i in range(2))
    assert none.shape == (0, 4)
    side = dataset[0]['inputs'].shape[-1] / 96
    np.testing.assert_allclose(kept.numpy(), [[10 * side, 10 * side, 30 * side, 30 * side]])
