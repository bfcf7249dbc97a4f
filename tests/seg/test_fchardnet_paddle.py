"""PaddleSeg's FC-HarDNet-70: another network than the original's, with weights of its own."""

import pickle

import numpy as np
import pytest
import torch
from helpers.server import same
from helpers.stand_in import fill_state_dict, golden_input, sample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hardnet_mm import HarDNet
from hardnet_mm.backbones.stages import SamePaddedConv2d
from hardnet_mm.checkpoints import convert_official, is_official
from hardnet_mm.utils.errors import InputError


@pytest.fixture(scope='module')
def config(root):
    init_default_scope('mmseg')
    return Config.fromfile(root / 'configs/fchardnet70-paddle_cityscapes.py')


@pytest.fixture(scope='module')
def state(golden):
    return fill_state_dict(golden('paddleseg_fchardnet70')['state_dict'])


@pytest.fixture(scope='module')
def paddle_file(state, tmp_path_factory):
    """A file as paddle.save writes it."""
    arrays = {
        key.replace('running_mean', '_mean').replace('running_var', '_variance'): value.numpy()
        for key, value in state.items()
    }
    arrays['StructuredToParameterName@@'] = {key: f'tensor_{key}' for key in arrays}
    path = tmp_path_factory.mktemp('paddle') / 'fchardnet70-paddle_cityscapes.pdparams'
    path.write_bytes(pickle.dumps(arrays, protocol=4))
    return path


@pytest.fixture(scope='module')
def segmentor(config, paddle_file):
    init_default_scope('mmseg')
    model = MODELS.build(config.model)
    checkpoint = CheckpointLoader.load_checkpoint(str(paddle_file), map_location='cpu')
    model.load_state_dict(checkpoint['state_dict'])  # strict: every tensor has its place
    return model.eval()


def test_logits_are_paddles(segmentor, golden):
    expected = golden('paddleseg_fchardnet70')
    assert sum(p.numel() for p in segmentor.parameters()) == expected['parameters'] == 4_119_257
    image = golden_input(*expected['input'])
    with torch.no_grad():
        logits = segmentor.encode_decode(image, [dict(img_shape=image.shape[2:])])
    found, wanted = sample(logits), expected['outputs']['logits']
    assert found['shape'] == wanted['shape']
    for key in ('values', 'mean', 'std'):
        error = np.abs(np.subtract(found[key], wanted[key])).max() / wanted['std']
        assert error < 1e-4, (key, error)


def test_work_is_paddles(config):
    init_default_scope('mmseg')
    model = MODELS.build(config.model).eval().to('meta')
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 1024, 2048, device='meta'), mode='tensor')
    assert counter.get_total_flops() / 2 == pytest.approx(140.9e9, rel=1e-3)


def test_loads_by_name_and_into_a_backbone(segmentor, paddle_file, monkeypatch):
    monkeypatch.setenv('HARDNET_WEIGHTS', str(paddle_file.parent))
    name = 'hardnet://fchardnet70_paddle_cityscapes'
    assert same(CheckpointLoader.load_checkpoint(name), segmentor.state_dict())
    init_cfg = dict(type='Pretrained', checkpoint=name)
    backbone = HarDNet('fchardnet70_paddle', out_indices=(4,), init_cfg=init_cfg)
    backbone.init_weights()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, segmentor.backbone.state_dict()[key])


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.mark.parametrize('protocol', [2, 4])
def test_only_arrays_are_read(tmp_path, protocol):
    path = tmp_path / 'evil.pdparams'
    path.write_bytes(pickle.dumps({'stem.0._conv.weight': RunsCode(tmp_path / 'run')}, protocol))
    with pytest.raises(InputError, match=r'asks to run .*open, which weights do not need: refused'):
        CheckpointLoader.load_checkpoint(str(path))
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'content',
    [
        pickle.dumps({'a': np.array(['text'])}, 4),
        pickle.dumps({'a': np.array([{}], object)}, 4),
        pickle.dumps(['a'], 4),
        b'\x80\x04\x95',
        b'\x80\x04\xff\xff',
    ],
)
def test_what_is_no_such_file(tmp_path, content):
    path = tmp_path / 'broken.pdparams'
    path.write_bytes(content)
    with pytest.raises(InputError, match='broken.pdparams is (cut off or )?damaged'):
        CheckpointLoader.load_checkpoint(str(path))


def test_a_damaged_file(paddle_file, tmp_path):
    """Cut anywhere, it is refused in one line."""
    content = paddle_file.read_bytes()
    path = tmp_path / 'cut.pdparams'
    for size in (70, 1000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match='cut.pdparams is (cut off or )?damaged'):
            CheckpointLoader.load_checkpoint(str(path))


def test_another_network_of_paddle(state):
    assert is_official(state) and is_official(dict(state_dict=state))
    with pytest.raises(InputError, match='extra._conv.weight'):
        convert_official({**state, 'extra._conv.weight': torch.zeros(1)})
    key = 'encoder.blks.0.layers.1._conv.weight'
    with pytest.raises(InputError, match='57 input channels'):
        convert_official({**state, key: state[key][:, 1:]})


@pytest.mark.parametrize('size', [(8, 6), (7, 9), (8, 5)])
def test_same_padding(size):
    """After the image; before it, too, where the side is odd."""
    conv = SamePaddedConv2d(2, 3, 3, 2)
    image = torch.randn(1, 2, *size)
    before, (height, width) = [side % 2 for side in size], size
    padded = torch.zeros(1, 2, height + 1 + before[0], width + 1 + before[1])
    padded[:, :, before[0] : before[0] + height, before[1] : before[1] + width] = image
    wanted = functional.conv2d(padded, conv.weight, conv.bias, 2)
    torch.testing.assert_close(conv(image), wanted)
    assert wanted.shape[2:] == (-(-height // 2), -(-width // 2))


def test_refuses_another_padding():
    with pytest.raises(ValueError, match="stem_padding must be one of .* got 'valid'"):
        HarDNet(
            dict(
                stem_channels=(8, 8),
                stem_padding='valid',
                growth_multiplier=1.7,
                growth_rates=(4,),
                num_layers=(4,),
                transition_channels=(16,),
                downsample=(0,),
            ),
            out_indices=(0,),
        )


def test_recipe_is_paddles(config):
    preprocessor = config.model.data_preprocessor
    assert preprocessor.mean == preprocessor.std == [127.5] * 3 and preprocessor.bgr_to_rgb
    assert preprocessor.pad_val == 0  # after normalisation: 127.5
    steps = {transform.type: transform for transform in config.train_pipeline}
    scales = [(1024, 512), (1536, 768), (2048, 1024), (2560, 1280), (3072, 1536)]
    assert steps['RandomChoiceResize'].scales == [*scales, (3584, 1792), (4096, 2048)]
    jitter = steps['PillowColorJitter']
    assert (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) == (0.4,) * 3 + (18,)
    assert config.train_dataloader.batch_size == 4 and config.sync_bn == 'torch'
    assert config.train_cfg.max_iters == config.param_scheduler[0].end == 160_000
    assert config.load_from is None
