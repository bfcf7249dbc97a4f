import re

import pytest
import torch
from helpers.stand_in import fill_state_dict, fill_tensor
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from hardnet_mm import HarDNet
from hardnet_mm.checkpoints import convert_official, is_official, to_official
from hardnet_mm.utils.errors import InputError


@pytest.fixture(scope='module')
def original(golden):
    return fill_state_dict(golden('hardnet39ds_cls')['state_dict'])


def test_wrapped_and_prefixed(original):
    wanted = convert_official(original)
    parallel = {f'module.{key}': value for key, value in original.items()}
    for wrapped in (parallel, {'state_dict': original}, {'epoch': 3, 'model_state': parallel}):
        got = convert_official(wrapped)
        assert got.keys() == wanted.keys()
        assert all(torch.equal(got[key], wanted[key]) for key in wanted)


def test_bare_base_weights(original):
    """SSD's and CenterNet's base weights: the layer list's own state dict, without a head."""
    bare = {key.removeprefix('base.'): value for key, value in original.items()}
    bare = {key: value for key, value in bare.items() if not key.startswith('14.')}
    converted = convert_official(bare)
    backbone = {key.removeprefix('backbone.'): value for key, value in converted.items()}
    HarDNet('hardnet39ds').load_state_dict(backbone)


def test_every_value_arrives_once(original):
    converted = convert_official(original)
    assert len(converted) == len(original)
    assert {value.data_ptr() for value in converted.values()} == {
        value.data_ptr() for value in original.values()
    }


GOLDEN = [
    'hardnet39ds_cls',
    'hardnet68ds_cls',
    'hardnet68_cls',
    'hardnet85_cls',
    'ssd512_hardnet68',
    'rfb512_hardnet68_voc',
    'centernet_hardnet85',
    'fchardnet70',
]


@pytest.mark.parametrize('name', GOLDEN)
def test_there_and_back(name, golden):
    """Every original's checkpoint comes back key by key, bit by bit."""
    state = fill_state_dict(golden(name)['state_dict'])
    back = to_official(dict(state_dict=convert_official(state)))
    assert list(back) == list(state)
    assert all(torch.equal(back[key], state[key]) for key in state)


@pytest.mark.parametrize(
    'config, theirs',
    [
        ('ssd512_hardnet85_coco', ['bridge.1.conv.weight', 'base.14.conv.weight', 'extras.9.bias']),
        (
            'rfb512_hardnet85_coco',
            ['Norm.branch3.3.conv.weight', 'base.14.conv', 'extras.6.bn'],
        ),
        ('centernet_hardnet68_coco', ['base.11.layers.15.norm.bias', 'denseBlocksUp.2.layers.3']),
    ],
)
def test_back_and_there(config, theirs, root):
    """Those without golden outputs: every one of our tensors has a place there."""
    init_default_scope('mmdet')
    state = MODELS.build(Config.fromfile(root / f'configs/{config}.py').model).state_dict()
    # mmdet leaves some for init_weights to fill
    state = {key: fill_tensor(key, tuple(value.shape)) for key, value in state.items()}
    official = to_official(state)
    assert all(any(key.startswith(name) for key in official) for name in theirs)
    ours = convert_official(official)
    assert ours.keys() == state.keys()
    assert all(torch.equal(ours[key], state[key]) for key in state)


def test_there_and_back_without_what_is_unused(golden, caplog):
    """HarDNet-MSEG's checkpoint: what its program never reads is left out, by name."""
    state = fill_state_dict(golden('hardnet_mseg')['state_dict'])
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    ours = convert_official(dict(state_dict=state))
    back = to_official(ours)
    logger.removeHandler(caplog.handler)
    prefixes = ('ra2_', 'ra3_', 'ra4_', 'conv', 'hardnet.base.16.')
    unused = [key for key in state if key.startswith(prefixes)]
    assert len(unused) == len(state) - len(ours) > 0
    assert list(back) == [key for key in state if key not in unused]
    assert all(torch.equal(back[key], state[key]) for key in back)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and 'tensors are left out' in told[0] and 'strict=False' in told[1]
    modules = {re.sub(r'(\.(conv|bn))?\.[a-z_]+$', '', key) for key in unused}
    assert len(modules) == 19
    assert all(f' {module}' in message for module in modules for message in told)


def test_there_and_back_without_the_classifier(golden, caplog):
    """HarDNet-DFUS's checkpoint: its backbone's classifier is left out, by name."""
    state = fill_state_dict(golden('hardnet_dfus')['state_dict'])
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    ours = convert_official({f'module.{key}': value for key, value in state.items()})
    back = to_official(ours)
    logger.removeHandler(caplog.handler)
    unused = ['backbone.base.21.3.weight', 'backbone.base.21.3.bias']
    assert list(back) == [key for key in state if key not in unused] and len(ours) == 578
    assert all(torch.equal(back[key], state[key]) for key in back)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and all('HarDNet-DFUS' in message for message in told)
    assert all(' backbone.base.21.3' in message for message in told)


def test_there_and_back_of_hardnet_v2_as_a_classifier(golden):
    """The form of kingnet53.pth, from which HarDNet-DFUS starts."""
    entries = [e for e in golden('hardnet_dfus')['state_dict'] if e[0].startswith('backbone.')]
    state = {k.removeprefix('backbone.'): v for k, v in fill_state_dict(entries).items()}
    ours = convert_official(dict(state_dict={f'module.{k}': v for k, v in state.items()}))
    assert set(key.partition('.')[0] for key in ours) == {'backbone', 'head'}
    assert torch.equal(ours['head.fc.bias'], state['base.21.3.bias'])
    back = to_official(ours)
    assert list(back) == list(state)
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_the_backbone_of_mseg(golden):
    state = fill_state_dict(golden('hardnet_mseg')['state_dict'])
    backbone = HarDNet('hardnet68', out_indices=(1, 2, 3))
    backbone.load_state_dict(state)
    converted = convert_official(state)
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, converted[f'backbone.{key}'])


def test_a_module_of_mmcv_is_no_original():
    state = {'0.conv.weight': torch.zeros(1, 1, 1, 1), '0.bn.weight': torch.zeros(1)}
    assert not is_official(state) and not is_official(dict(state_dict=state))


def test_back_from_a_backbone(original):
    state = to_official(HarDNet('hardnet39ds').state_dict())
    assert list(state) == [key for key in original if not key.startswith('base.14.')]


def test_back_from_what_the_originals_do_not_have(original):
    arch = dict(
        stem_channels=(8,),
        stem_strides=(2,),
        growth_multiplier=1.7,
        growth_rates=(4,),
        num_layers=(4,),
        transition_channels=(16,),
        downsample=(0,),
    )
    with pytest.raises(ValueError, match=r'stem of \[8\] channels is no published one'):
        to_official(HarDNet(arch, out_indices=(0,)).state_dict())
    with pytest.raises(ValueError, match='backbone.extra.weight'):
        to_official({**convert_official(original), 'backbone.extra.weight': torch.zeros(1)})


def test_background_moves_last(golden):
    state = fill_state_dict(golden('ssd512_hardnet68')['state_dict'])
    converted = convert_official(state)
    old, new = state['conf.6.bias'], converted['bbox_head.cls_convs.6.0.bias']
    assert torch.equal(new.view(4, 81)[:, -1], old.view(4, 81)[:, 0])
    assert torch.equal(new.view(4, 81)[:, :-1], old.view(4, 81)[:, 1:])


@pytest.mark.parametrize(
    'state, words',
    [
        ({'layer1.0.conv1.weight': torch.zeros(1)}, ['layer1', 'PingoLH/Pytorch-HarDNet', 'SSD']),
        ({}, ['expected']),
        ({'state_dict': {'base.0.conv.weight': 'not a tensor'}}, ['expected']),
    ],
)
def test_a_checkpoint_of_something_else(state, words):
    with pytest.raises(ValueError) as raised:
        convert_official(state)
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize('convert', [convert_official, to_official])
def test_no_dict_at_all(convert):
    with pytest.raises(InputError, match='a checkpoint must be a dict, and is a list'):
        convert([torch.zeros(1)])


def test_an_unknown_key_among_known_ones(original):
    with pytest.raises(ValueError, match='auxiliary.0.weight'):
        convert_official({**original, 'auxiliary.0.weight': torch.zeros(1)})


def test_a_backbone_takes_its_part_of_a_detector(golden):
    state = fill_state_dict(golden('rfb512_hardnet68_voc')['state_dict'])
    backbone = HarDNet('hardnet68', out_indices=(0, 1, 2))
    backbone.load_state_dict(state)
    converted = convert_official(state)
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, converted[f'backbone.{key}'])


@pytest.mark.parametrize('model', ['ssd512', 'rfb512'])
def test_base_weights_fill_the_backbone_and_the_bridge(root, golden, model):
    """Of HarDNet68, where the detectors' base weights have a bridge; nothing of them is left."""
    state = fill_state_dict(golden('rfb512_hardnet68_voc')['state_dict'])
    base = {key[5:]: value for key, value in state.items() if key.startswith('base.')}
    init_default_scope('mmdet')
    cfg = Config.fromfile(root / f'configs/{model}_hardnet68_coco.py')
    with torch.device('meta'):
        keys = MODELS.build(cfg.model).state_dict().keys()
    wanted = {key for key in keys if key.startswith(('backbone.', 'neck.bridge.'))}
    assert convert_official(base).keys() == wanted and wanted < keys
