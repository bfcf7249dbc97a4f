import sys

import pytest
import torch

from hardnet_mm.benchmark.models import Subject
from hardnet_mm.benchmark.presets import PRESETS
from hardnet_mm.swap.backbone import swap
from hardnet_mm.utils.configs import build_model, read_config, read_inherited
from hardnet_mm.utils.errors import InputError


def test_a_config_of_no_toolbox(tmp_path):
    path = tmp_path / 'plain.py'
    custom = "custom_imports = dict(imports=['missing_one'])\n"
    for text, words in {
        "default_scope = 'mmrotate'\nmodel = dict()\n": "default_scope must be .* got 'mmrotate'",
        'model = dict(type="NobodysNet")\n': 'default_scope must be .* got None',
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


def test_a_pure_python_config_names_its_toolbox_by_its_classes(tmp_path):
    (tmp_path / 'base.py').write_text('settings = dict(train_cfg=dict())\n')
    path = tmp_path / 'pure.py'
    path.write_text(PURE_PYTHON)
    cfg = read_config(str(path), {'model.backbone.arch': 'hardnet68ds'})
    assert (cfg.default_scope, cfg.model.backbone.arch) == ('mmseg', 'hardnet68ds')
    path.write_text("model = dict(type='mmpretrain.ImageClassifier')\n")  # a text, scoped
    assert read_config(str(path)).default_scope == 'mmpretrain'


def test_no_checkpoint_is_read(monkeypatch):
    """The config names one that only a download would bring."""
    monkeypatch.setattr('mmengine.runner.checkpoint.load_from_http', None)
    config = PRESETS['segmentors']['configs']['DDRNet-23-slim']
    assert 'Pretrained' in str(read_config(config).model)
    model = Subject(build_model(read_config(config)), 'mmseg')
    with torch.no_grad():
        labels = model(torch.rand(1, 3, 64, 96))
    assert labels.shape == (1, 64, 96) and labels.dtype == torch.int64


def test_a_part_of_another_toolbox_by_its_scope(tmp_path):
    """As mmdet3d's ImVoteNet names mmdet's heads; mmpretrain has no FPN."""
    path = tmp_path / 'scoped.py'
    path.write_text(
        "default_scope = 'mmpretrain'\n"
        "neck = dict(_scope_='mmdet', type='FPN', in_channels=[96], out_channels=8, num_outs=1)\n"
        "backbone = dict(type='HarDNet', arch='hardnet39ds', out_indices=(0,))\n"
        "model = dict(type='ImageClassifier', backbone=backbone, neck=neck)\n"
    )
    model = build_model(read_config(str(path)))
    assert type(model.neck).__module__.startswith('mmdet.')


def test_a_config_without_model(tmp_path):
    (tmp_path / 'empty.py').write_text("default_scope = 'mmdet'\n")
    with pytest.raises(ValueError, match='empty.py has no model'):
        read_config(str(tmp_path / 'empty.py'))
    with pytest.raises(FileNotFoundError):
        read_config(str(tmp_path / 'missing.py'))


RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


def test_a_swap_is_read_without_a_file():
    cfg = read_inherited(RETINANET, swap(read_config(RETINANET), 'hardnet68'))
    assert cfg.model.backbone.type == 'HarDNet'


PURE_PYTHON = """
from mmengine.config import read_base
from mmseg.models import EncoderDecoder

from hardnet_mm.backbones import HarDNet

with read_base():
    from .base import *

model = dict(type=EncoderDecoder, backbone=dict(type=HarDNet, arch='hardnet39ds'), **settings)
"""
