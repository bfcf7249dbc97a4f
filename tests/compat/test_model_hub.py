"""Names of ours, wherever mmengine or a toolbox takes one."""

import subprocess
import sys

import mmengine.hub
import numpy as np
import pytest
import torch
from helpers.stand_in import fill_state_dict
from mmengine.config import Config
from mmengine.infer import BaseInferencer

from hardnet_mm.checkpoints import convert_official
from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.compat import model_hub

FILES = dict(
    fchardnet70='hardnet70_cityscapes_model.pkl', ssd512_hardnet68='SSD512_HarDNet68_COCO.pth'
)


@pytest.fixture
def published(golden, tmp_path, monkeypatch):
    """Stand-ins for the published files, in a folder that stands in for the network."""
    states = {name: fill_state_dict(golden(name)['state_dict']) for name in FILES}
    for name, file in FILES.items():
        torch.save(states[name], tmp_path / file)
    monkeypatch.setenv('HARDNET_WEIGHTS', str(tmp_path))
    return {name: convert_official(state) for name, state in states.items()}


def python(script):
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


LIST = "print(*mmpretrain.list_models('*hardnet*'))"
LISTED = 'hardnet39ds_imagenet hardnet68_imagenet hardnet68ds_imagenet hardnet85_imagenet'


@pytest.mark.slow
def test_mmpretrain_is_told_when_it_comes_later():
    script = (
        'import sys, hardnet_mm\n'
        "toolboxes = {'mmpretrain', 'mmdet', 'mmseg', 'torchvision'}\n"
        'assert not toolboxes & set(sys.modules), toolboxes & set(sys.modules)\n'
    )
    assert python(f'{script}import mmpretrain\n{LIST}') == LISTED


@pytest.mark.slow
def test_mmpretrain_is_told_when_it_is_there():
    assert python(f'import mmpretrain\nimport hardnet_mm\n{LIST}') == LISTED


@pytest.mark.parametrize('suffix', ['', '.py'])
def test_configs_by_name(suffix):
    name = f'hardnet_mm::ssd512_hardnet68_coco{suffix}'
    for cfg in (Config.fromfile(name), mmengine.hub.get_config(name, pretrained=True)):
        assert cfg.default_scope == 'mmdet' and cfg.model.backbone.arch == 'hardnet68'
    assert cfg.model_path == WEIGHTS['ssd512_hardnet68_coco'].address
    cfg = mmengine.hub.get_config(f'hardnet_mm::digits/ssd_hardnet_digits{suffix}')
    assert cfg.model.bbox_head.num_classes == 10


def test_a_base_by_name(tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'hardnet_mm::ssd512_hardnet68_coco.py'\nwork_dir = 'mine'\n"
    )
    cfg = Config.fromfile(tmp_path / 'mine.py')
    assert cfg.model.backbone.type == 'HarDNet' and cfg.work_dir == 'mine'
    assert '_scope_' not in cfg.model.backbone

    (tmp_path / 'wrong.py').write_text("_base_ = 'hardnet_mm::ssd512_hardnet99_coco.py'\n")
    with pytest.raises(FileNotFoundError, match='ssd512_hardnet99_coco'):
        Config.fromfile(tmp_path / 'wrong.py')


def test_other_packages_bases_are_left_to_mmengine(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'mmdet::_base_/models/ssd300.py'\n")
    assert Config.fromfile(tmp_path / 'mine.py').model.backbone.type == 'SSDVGG'


def test_other_packages_names_are_left_to_mmengine():
    cfg = mmengine.hub.get_config('mmdet::ssd/ssd300_coco.py', pretrained=True)
    assert cfg.model.backbone.type == 'SSDVGG' and 'ssd300' in cfg.model_path
    with pytest.raises(FileNotFoundError):
        Config.fromfile('mmdet::ssd/ssd300_coco.py')


@pytest.mark.parametrize('read', [Config.fromfile, mmengine.hub.get_config])
def test_a_wrong_name_gets_those_like_it(read):
    with pytest.raises(FileNotFoundError, match='it has ssd512_hardnet68_coco, ssd512_hardnet85'):
        read('hardnet_mm::ssd512_hardnet66_coco.py')
    with pytest.raises(FileNotFoundError, match='it has centernet_hardnet68_coco, .*hardnet68_im'):
        read('hardnet_mm::zzz')


def test_registering_twice_changes_nothing():
    before = Config.fromfile, list(sys.meta_path)
    model_hub.register_names()
    assert (Config.fromfile, sys.meta_path) == before


def test_get_model(published):
    model = mmengine.hub.get_model('hardnet_mm::fchardnet70_cityscapes.py', pretrained=True)
    state, wanted = model.state_dict(), published['fchardnet70']
    assert all(torch.equal(state[key], value) for key, value in wanted.items())
    assert mmengine.hub.get_model('hardnet_mm::hardnet39ds_imagenet').backbone.channels == (1024,)


def test_models_are_listed_in_their_toolbox():
    import mmdet  # noqa: F401
    import mmseg  # noqa: F401

    listed = {scope: BaseInferencer.list_models(scope, '.*hardnet') for scope in ('mmdet', 'mmseg')}
    assert listed == dict(
        mmdet=[
            'ssd512_hardnet68_coco',
            'ssd512_hardnet85_coco',
            'rfb512_hardnet68_coco',
            'rfb512_hardnet85_coco',
            'centernet_hardnet85_coco',
            'centernet_hardnet85_608_coco',
            'centernet_hardnet85_416_coco',
        ],
        mmseg=['fchardnet70_cityscapes', 'fchardnet70-paddle_cityscapes'],
    )
    assert 'ssd300_coco' in BaseInferencer.list_models('mmdet')


def test_a_model_without_weights_is_named_by_its_config():
    """HarDNet-MSEG's file is where no program can fetch it."""
    from mmseg.apis import MMSegInferencer

    with pytest.raises(ValueError, match='Cannot find model: mseg_hardnet68_kvasir'):
        MMSegInferencer('mseg_hardnet68_kvasir', device='cpu')
    model = mmengine.hub.get_model('hardnet_mm::mseg_hardnet68_kvasir.py')
    assert model.decode_head.out_channels == 1
    with pytest.raises(ValueError, match='kvasir.py has no published weights'):
        mmengine.hub.get_model('hardnet_mm::mseg_hardnet68_kvasir.py', pretrained=True)


@pytest.mark.slow
def test_inferencers_of_mmdet_and_mmseg(published):
    from mmdet.apis import DetInferencer
    from mmseg.apis import MMSegInferencer

    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    detector = DetInferencer('ssd512_hardnet68_coco', device='cpu', show_progress=False)
    stem = 'backbone.stem.0.conv.weight'
    assert torch.equal(detector.model.state_dict()[stem], published['ssd512_hardnet68'][stem])
    (found,) = detector(image)['predictions']
    assert {'labels', 'scores', 'bboxes'} <= found.keys()

    segmentor = MMSegInferencer('fchardnet70_cityscapes', device='cpu')
    assert torch.equal(segmentor.model.state_dict()[stem], published['fchardnet70'][stem])
    assert segmentor(image)['predictions'].shape == image.shape[:2]
