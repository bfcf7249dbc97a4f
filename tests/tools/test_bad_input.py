"""What a user may get wrong: each is told at once, or handled as mmdet handles it."""

import argparse
import json
import shutil
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from hardnet_mm import HarDNet
from hardnet_mm.checkpoints.files import check_checkpoint
from hardnet_mm.checkpoints.hooks import CheckpointMatchHook
from hardnet_mm.utils.configs import read_config
from hardnet_mm.utils.errors import InputError

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
    last = output.splitlines()[-1]
    assert last.startswith('test.py: error: the checkpoint is not one of this config')


def test_a_missing_data_folder(root, run_tool, tmp_path):
    output = run_tool(
        'train.py', root / CONFIG, '--work-dir', tmp_path / 'work', fails=True, cwd=tmp_path
    )
    last = output.splitlines()[-1]
    assert last == 'train.py: error: No such file or directory: data/digits/annotations/train.json'


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


def test_a_config_of_no_toolbox(tmp_path):
    path = tmp_path / 'plain.py'
    custom = "custom_imports = dict(imports=['missing_one'])\n"
    for text, words in {
        "default_scope = 'mmrotate'\nmodel = dict()\n": "default_scope must be .* got 'mmrotate'",
        'model = dict(type="RetinaNet")\n': 'default_scope must be .* got None',
        "default_scope = 'mmdet'\n": 'has no model',
        'model = dict(\n': 'plain.py cannot be read: SyntaxError: ',
        'model = missing\n': "plain.py cannot be read: NameError: name 'missing'",
        f'_base_ = {str(tmp_path / "missing.py")!r}\n': None,
        f"default_scope = 'mmdet'\nmodel = dict()\n{custom}": (
            "custom_imports .'missing_one'. cannot be imported"
        ),
    }.items():
        path.write_text(text)
        with pytest.raises(InputError if words else FileNotFoundError, match=words or 'missing.py'):
            read_config(str(path))
    with pytest.raises(InputError, match='model.type.a.* cannot be set in .*plain.py'):
        path.write_text("default_scope = 'mmdet'\nmodel = dict(type='RetinaNet')\n")
        read_config(str(path), {'model.type.a': 1})


def test_a_toolbox_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmseg', None)
    path = tmp_path / 'plain.py'
    path.write_text("default_scope = 'mmseg'\nmodel = dict(type='EncoderDecoder')\n")
    for name in (str(path), 'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py'):
        with pytest.raises(
            ImportError, match=r"config of mmseg, .*'hardnet_mm\[onedl\]'"
        ) as raised:
            read_config(name)
        assert raised.value.name == 'mmseg'


PURE_PYTHON = """
from mmengine.config import read_base
from mmseg.models import EncoderDecoder

from hardnet_mm.backbones import HarDNet

with read_base():
    from .base import *

model = dict(type=EncoderDecoder, backbone=dict(type=HarDNet, arch='hardnet39ds'), **settings)
"""


def test_a_pure_python_config_names_its_toolbox_by_its_classes(tmp_path, run_tool):
    (tmp_path / 'base.py').write_text('settings = dict(train_cfg=dict())\n')
    path = tmp_path / 'pure.py'
    path.write_text(PURE_PYTHON)
    cfg = read_config(str(path), {'model.backbone.arch': 'hardnet68ds'})
    assert (cfg.default_scope, cfg.model.backbone.arch) == ('mmseg', 'hardnet68ds')
    last = run_tool('swap_backbone.py', path, fails=True).splitlines()[-1]
    assert 'swap_backbone.py: error:' in last and 'is in pure Python' in last
    path.write_text("model = dict(type='mmpretrain.ImageClassifier')\n")  # a text, scoped
    assert read_config(str(path)).default_scope == 'mmpretrain'


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
