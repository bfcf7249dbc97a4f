import zipfile

import pytest
import torch
from helpers.server import same
from helpers.stand_in import fill_state_dict, golden_input
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, load_checkpoint

from hardnet_mm import HarDNet, create_model
from hardnet_mm.checkpoints import convert_official
from hardnet_mm.checkpoints.loaders import load_whole
from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.utils.errors import InputError


def test_what_was_allowed_stays_allowed(publish, original, cache):
    """Reading weights leaves mmengine's own checkpoints readable."""
    if not hasattr(torch.serialization, 'get_safe_globals'):
        pytest.skip('this torch has no list of what is allowed')
    publish(original)
    torch.serialization.add_safe_globals([HistoryBuffer])
    CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert HistoryBuffer in torch.serialization.get_safe_globals()


def test_comes_as_a_checkpoint_of_mmengine(publish, original, cache):
    """Hooks look into it: EMAHook, for one, beside 'state_dict'."""
    publish(original)
    checkpoint = CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert checkpoint.keys() == {'meta', 'state_dict'}


def test_an_unknown_name():
    with pytest.raises(ValueError, match="'hardnet70'.*hardnet39ds.*ssd512_hardnet68_coco"):
        CheckpointLoader.load_checkpoint('hardnet://hardnet70')


def test_the_published_pickle_holds_a_numpy_scalar(golden, cache, tmp_path, monkeypatch):
    """As FC-HarDNet's training program writes it."""
    import numpy as np

    state = fill_state_dict(golden('fchardnet70')['state_dict'])
    parallel = {f'module.{key}': value for key, value in state.items()}
    checkpoint = dict(epoch=3, model_state=parallel, best_iou=np.float64(0.777))
    torch.save(checkpoint, tmp_path / 'hardnet70_cityscapes_model.pkl')
    monkeypatch.setenv('HARDNET_WEIGHTS', str(tmp_path))
    address = WEIGHTS['fchardnet70_cityscapes'].address
    for name in ('hardnet://fchardnet70_cityscapes', address):
        assert same(CheckpointLoader.load_checkpoint(name), convert_official(state))


def test_a_detector_comes_whole(golden, tmp_path, monkeypatch):
    """Not its backbone alone: RFBNet, by its name."""
    state = fill_state_dict(golden('rfb512_hardnet68_voc')['state_dict'])
    torch.save(state, tmp_path / 'RFB512_HarDNet68_COCO.pth')
    monkeypatch.setenv('HARDNET_WEIGHTS', str(tmp_path))
    loaded = CheckpointLoader.load_checkpoint('hardnet://rfb512_hardnet68_coco')
    assert same(loaded, convert_official(state)) and len(loaded['state_dict']) == len(state)


def test_old_format(original, cache, publish):
    """Published in 2019: files of torch.save before 1.6 are no zip archives."""
    path = cache.parent / 'old.pth'
    path.parent.mkdir()
    torch.save(original, path, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(path)
    publish(path.read_bytes())
    assert same(
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds'), convert_official(original)
    )


@pytest.mark.parametrize('kind', ['name', 'path', 'address', 'mm'])
@pytest.mark.parametrize('prefix', [None, 'backbone.'])
def test_pretrained_backbone(kind, prefix, publish, original, cache, server, tmp_path):
    """init_cfg of a backbone takes a name, an original's file, and a whole model of ours."""
    file = publish(original)
    torch.save(original, tmp_path / 'original.pth')
    torch.save(dict(state_dict=convert_official(original)), tmp_path / 'mm.pth')
    checkpoint = dict(
        name='hardnet://hardnet39ds',
        path=str(tmp_path / 'original.pth'),
        address=server.address + file,
        mm=str(tmp_path / 'mm.pth'),
    )[kind]
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    if prefix:
        init_cfg['prefix'] = prefix
    backbone = HarDNet('hardnet39ds', init_cfg=init_cfg)
    backbone.init_weights()
    converted = convert_official(original)
    state = backbone.state_dict()
    assert all(torch.equal(value, converted[f'backbone.{key}']) for key, value in state.items())


def test_original_keys_in_load_state_dict(original):
    backbone = HarDNet('hardnet39ds')
    backbone.load_state_dict(original)  # strict
    assert torch.equal(backbone.stem[0].conv.weight, original['base.0.conv.weight'])
    backbone.load_state_dict(backbone.state_dict())


def test_classifier_from_a_users_copy(original, root, tmp_path, golden):
    """What `mim download` leaves, loaded as mim test and the inferencers load it."""
    from mmengine.registry import DefaultScope
    from mmpretrain.registry import MODELS

    torch.save(original, tmp_path / 'original.pth')
    cfg = Config.fromfile(root / 'configs/hardnet39ds_imagenet.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).eval()
    load_checkpoint(model, str(tmp_path / 'original.pth'), strict=True)
    plain = create_model('hardnet39ds', pretrained=str(tmp_path / 'original.pth')).eval()
    image = golden_input(*golden('hardnet39ds_cls')['input'])
    with torch.no_grad():
        torch.testing.assert_close(plain(image), model(image, mode='tensor'))


@pytest.mark.parametrize(
    'path', ['hardnet://hardnet39ds', 'a.pth', 'http://a/b.pth', WEIGHTS['hardnet68'].addresses[0]]
)
def test_the_log_names_the_loader(path):
    """It leaves out the first ten letters of the loader's name."""
    assert CheckpointLoader._get_checkpoint_loader(path).__name__.startswith('load_from_')


def test_what_another_model_has_is_told_in_a_line(tmp_path):
    torch.save(dict(weight=torch.zeros(4, 5), other=torch.zeros(1)), tmp_path / 'a.pth')
    with pytest.raises(
        InputError,
        match=r'a.pth is not one of this config: 3 tensors differ, the first: weight is \(4, 5\) '
        r'in the checkpoint and \(4, 3\) in the model; bias \(4,\) is missing in the checkpoint; '
        r'other is missing in the model$',
    ):
        load_whole(torch.nn.Linear(3, 4), str(tmp_path / 'a.pth'))
