"""What a user may get wrong: each is told at once, or handled as mmdet handles it."""

import argparse
import json
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from hardnet_mm import HarDNet
from hardnet_mm.checkpoint_files import check_checkpoint
from hardnet_mm.hooks import CheckpointMatchHook
from hardnet_mm.runtime import add_common_arguments, load_config

CONFIG = 'configs/digits/ssd_hardnet_digits.py'


def test_a_cut_off_checkpoint(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=HarDNet('hardnet39ds', out_indices=(0,)).state_dict()), path)
    check_checkpoint(str(path))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match='weights.pth is cut off'):
        check_checkpoint(str(path))


def test_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint .*missing.pth'):
        check_checkpoint(str(tmp_path / 'missing.pth'))
    page = tmp_path / 'page.pth'
    page.write_text('<html>not found</html>')
    with pytest.raises(ValueError, match='page.pth is a web page, no checkpoint'):
        check_checkpoint(str(page))


def test_a_checkpoint_of_another_model():
    runner = argparse.Namespace(model=HarDNet('hardnet39ds', out_indices=(1,)))
    right, other = (
        dict(state_dict=HarDNet(arch, out_indices=(1,)).state_dict())
        for arch in ('hardnet39ds', 'hardnet68ds')
    )
    hook = CheckpointMatchHook()
    hook.after_load_checkpoint(runner, right)
    with pytest.raises(ValueError, match=r'not one of this config: \d+ of .* stem.0.conv.weight'):
        hook.after_load_checkpoint(runner, other)


def test_testing_with_a_checkpoint_of_another_model(root, run_tool, digits, tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.zeros(1)), meta={}), tmp_path / 'other.pth')
    output = run_tool(
        'test.py',
        *(root / CONFIG, tmp_path / 'other.pth', '--work-dir', tmp_path / 'work', '--cfg-options'),
        *(f'{key}_dataloader.dataset.data_root={digits}/' for key in ('train', 'val', 'test')),
        f'test_evaluator.ann_file={digits}/annotations/val.json',
        fails=True,
    )
    assert 'the checkpoint is not one of this config' in output


def test_a_missing_data_folder(root, run_tool, tmp_path):
    output = run_tool(
        'train.py', root / CONFIG, '--work-dir', tmp_path / 'work', fails=True, cwd=tmp_path
    )
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'data/digits/" in output


def test_classes_that_disagree_with_the_data(root, run_tool, digits, tmp_path):
    output = run_tool(
        'train.py',
        *(root / CONFIG, '--work-dir', tmp_path / 'work', '--cfg-options'),
        *(f'{key}_dataloader.dataset.data_root={digits}/' for key in ('train', 'val')),
        f'val_evaluator.ann_file={digits}/annotations/val.json',
        'model.bbox_head.num_classes=7',
        fails=True,
    )
    assert 'num_classes' in output and '(7)' in output and '10' in output


def test_a_config_of_no_toolbox(tmp_path):
    path = tmp_path / 'plain.py'
    path.write_text("default_scope = 'mmrotate'\n")
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_common_arguments(parser)
    with pytest.raises(ValueError, match="default_scope must be .* got 'mmrotate'"):
        load_config(parser.parse_args([str(path)]))


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
