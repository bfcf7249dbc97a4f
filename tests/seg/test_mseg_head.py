import pytest
import torch
from helpers.parity import load_original
from helpers.stand_in import golden_input, sample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

from hardnet_mm.seg import HarDNetMSEGHead

CHANNELS = (16, 24, 32)


@pytest.fixture(scope='module')
def config(root):
    init_default_scope('mmseg')
    return Config.fromfile(root / 'configs/mseg_hardnet68_kvasir.py')


@pytest.fixture(scope='module')
def segmentor(config, golden):
    """HarDNet-MSEG with the stand-in weights of the golden outputs."""
    init_default_scope('mmseg')
    return load_original(MODELS.build(config.model), golden('hardnet_mseg'))


@pytest.fixture(scope='module')
def small_head():
    torch.manual_seed(0)
    return HarDNetMSEGHead(CHANNELS, channels=8).eval()


def features(height, width):
    sizes = [(height // stride, width // stride) for stride in (8, 16, 32)]
    return [torch.randn(1, width, *size) for width, size in zip(CHANNELS, sizes)]


def test_outputs_are_the_originals(segmentor, golden):
    """To 1e-4 of each output's standard deviation."""
    expected = golden('hardnet_mseg')
    image = golden_input(*expected['input'])
    found, head = {}, segmentor.decode_head
    with torch.no_grad():
        maps = segmentor.extract_feat(image)
        for name, block, x in zip(('rfb2_1', 'rfb3_1', 'rfb4_1'), head.receptive_fields, maps):
            found[name] = block(x)
        found['agg1'] = head(maps)
        found['logits'] = head.predict_by_feat(found['agg1'], [dict(img_shape=image.shape[2:])])
    assert found.keys() == expected['outputs'].keys()
    for name, wanted in expected['outputs'].items():
        values = sample(found[name], len(wanted['values']))
        assert values['shape'] == wanted['shape']
        difference = torch.tensor(values['values']) - torch.tensor(wanted['values'])
        error = difference.abs().max().item() / wanted['std']
        assert error < 1e-4, f'{name}: {error:.2g} of the standard deviation'
        print(name, error)


def test_size_and_work_are_the_originals(config, segmentor):
    """All parameters that its checkpoint has and uses; multiply-adds at two sizes."""
    assert sum(p.numel() for p in segmentor.parameters()) == 17_423_837
    init_default_scope('mmseg')
    model = MODELS.build(config.model).eval().to('meta')
    for side, work in ((352, 11.35e9), (512, 24.0e9)):
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, side, side, device='meta'), mode='tensor')
        assert counter.get_total_flops() / 2 == pytest.approx(work, rel=1e-3)
