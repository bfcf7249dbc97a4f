import copy

import pytest
import torch
from helpers.parity import load_original
from helpers.stand_in import golden_input, sample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.utils.flop_counter import FlopCounterMode

from hardnet_mm import HarDNet
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


def test_size_and_work_are_the_originals(config, segmentor):
    """All parameters that its checkpoint has and uses; multiply-adds at two sizes."""
    assert sum(p.numel() for p in segmentor.parameters()) == 17_423_837
    init_default_scope('mmseg')
    model = MODELS.build(config.model).eval().to('meta')
    for side, work in ((352, 11.35e9), (512, 24.0e9)):
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, side, side, device='meta'), mode='tensor')
        assert counter.get_total_flops() / 2 == pytest.approx(work, rel=1e-3)


@pytest.mark.parametrize('arch', ['hardnet39ds', 'hardnet68ds', 'hardnet85'])
def test_other_variants(arch):
    """By the channels of their maps, their parameters those of backbone and head."""
    backbone = HarDNet(arch, out_indices=(1, 2, 3))
    head = HarDNetMSEGHead(backbone.channels).eval()
    with torch.no_grad():
        assert head(backbone.eval()(torch.zeros(1, 3, 64, 96))).shape == (1, 1, 8, 12)


RESNET = dict(type='ResNetV1c', depth=18, out_indices=(1, 2, 3), stem_channels=16, base_channels=16)
SWIN = dict(
    type='SwinTransformer',
    embed_dims=12,
    depths=(1, 1, 1, 1),
    num_heads=(1, 2, 4, 8),
    out_indices=(1, 2, 3),
)
MIX = dict(
    type='MixVisionTransformer',
    embed_dims=8,
    num_layers=(1, 1, 1, 1),
    num_heads=(1, 1, 2, 2),
    out_indices=(1, 2, 3),
)
MOBILENET = dict(type='MobileNetV2', widen_factor=0.5, out_indices=(2, 4, 6))


@pytest.mark.parametrize(
    'backbone, channels',
    [
        (RESNET, (32, 64, 128)),
        (SWIN, (24, 48, 96)),
        (MIX, (8, 16, 16)),
        (MOBILENET, (16, 48, 160)),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)
def test_the_head_on_mmsegs_backbones(config, backbone, channels):
    """By the channels that the config names: it trains every part, and predicts."""
    init_default_scope('mmseg')
    model = copy.deepcopy(config.model)
    model.backbone = backbone
    model.decode_head.in_channels = channels
    segmentor = MODELS.build(model)
    image = torch.randint(0, 255, (3, 64, 96), dtype=torch.uint8)
    sample = SegDataSample(metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96)))
    sample.gt_sem_seg = PixelData(data=torch.rand(1, 64, 96).round())
    batch = dict(inputs=[image] * 2, data_samples=[sample] * 2)
    losses = segmentor(**segmentor.data_preprocessor(batch, True), mode='loss')
    losses['decode.loss_structure'].backward()
    trained = [p for p in segmentor.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    with torch.no_grad():
        (result, _) = segmentor.eval().test_step(batch)
    assert result.pred_sem_seg.data.shape == (1, 64, 96)


def test_starts_as_the_original(small_head):
    """Convolutions as PyTorch initializes them, none by the module that it is in."""
    small_head.init_weights()
    convolutions = [m for m in small_head.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 3 * (1 + 3 * 4 + 2) + 8 + 1
    for conv in convolutions:
        limit = conv.weight[0].numel() ** -0.5
        assert conv.weight.abs().max() <= limit
        assert conv.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.25)


@pytest.mark.parametrize('size', [(64, 96), (101, 75)])
def test_predicts_at_any_size(segmentor, size):
    """Sides that 32 does not divide are padded, and the padding is cut off again."""
    image = torch.randint(0, 255, (3, *size), dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=[SegDataSample(metainfo=dict(ori_shape=size))])
    padded = segmentor.data_preprocessor(data)['inputs']
    assert padded.shape[2:] == tuple(-(-side // 32) * 32 for side in size)
    data['data_samples'] = [SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))]
    with torch.no_grad():
        (result,) = segmentor.test_step(data)
        logits = segmentor.encode_decode(padded, [dict(img_shape=padded.shape[2:])])
    wanted = logits.sigmoid()[0, :, : size[0], : size[1]]
    torch.testing.assert_close(result.seg_logits.data, wanted)
    torch.testing.assert_close(result.pred_sem_seg.data, (wanted > 0.5).float())


@pytest.mark.parametrize('size', [(70, 100), (33, 47)])
def test_head_takes_maps_of_any_size(small_head, size):
    """Where nothing pads: never an error from deep inside."""
    maps = features(*size)
    assert small_head(maps).shape == (1, 1, size[0] // 8, size[1] // 8)


def test_head_refuses_what_does_not_fit(small_head):
    with pytest.raises(ValueError, match=r'in_channels are \[16, 24, 32\], but .* \[16, 24, 24\]'):
        shallow, middle, _ = features(64, 64)
        small_head([shallow, middle, middle])
    with pytest.raises(ValueError, match='three values.*strides 8, 16 and 32'):
        HarDNetMSEGHead((16, 24))
    with pytest.raises(ValueError, match='num_classes must be 2.*got 3'):
        HarDNetMSEGHead(CHANNELS, num_classes=3)


def test_recipe_is_the_originals(config):
    """james128333/HarDNet-MSEG, the defaults of Train.py."""
    assert config.optim_wrapper == dict(
        type='OptimWrapper',
        optimizer=dict(type='Adam', lr=1e-4),
        clip_grad=dict(type='value', clip_value=0.5),
    )
    assert config.param_scheduler == []
    assert config.train_cfg.type == 'MultiSizeTrainLoop' and config.train_cfg.max_epochs == 99
    assert config.train_cfg.sizes == (256, 352, 448)
    assert config.train_dataloader.batch_size == config.auto_scale_lr.base_batch_size == 16
    loss = config.model.decode_head.loss_decode
    assert loss == dict(type='StructureLoss')  # whose cross entropy is not weighted
