import pytest
import torch
from helpers.parity import load_original
from helpers.small_dfus import CHANNELS, SMALL_DFUS
from helpers.stand_in import golden_input, sample
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hardnet_mm.seg import LaplacianBoundaryLoss, LawinHead, StructureLoss
from hardnet_mm.seg.lawin_attention import LawinAttention, WindowReduction, as_map, as_patches


@pytest.fixture(scope='module')
def config(root):
    init_default_scope('mmseg')
    return Config.fromfile(root / 'configs/dfus_hardnetv2-53_kvasir.py')


@pytest.fixture(scope='module')
def small():
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(SMALL_DFUS['model']))
    model.init_weights()
    return model.eval()


def features(height, width, batch=1):
    sizes = [(height // stride, width // stride) for stride in (4, 8, 16, 32)]
    return [torch.randn(batch, width, *size) for width, size in zip(CHANNELS, sizes)]


def test_outputs_are_the_originals(config, golden):
    """To 1e-4 of each output's standard deviation; the parameters, to the last one."""
    init_default_scope('mmseg')
    expected = golden('hardnet_dfus')
    segmentor = load_original(MODELS.build(config.model), expected)
    parameters = sum(p.numel() for p in segmentor.parameters())
    assert parameters + 1_201_000 == expected['parameters'] == 51_057_465  # with a classifier
    image = golden_input(*expected['input'])
    with torch.no_grad():
        maps = segmentor.extract_feat(image)
        supervised = segmentor.decode_head.supervised(maps)
    found = dict(zip(('x4', 'x8', 'x16', 'x32'), maps))
    for name, x in zip(('logits', 'deep1', 'deep2', 'boundary'), supervised):
        found[name] = resize(x, image.shape[2:], mode='bilinear', align_corners=False)
    assert found.keys() == expected['outputs'].keys()
    for name, wanted in expected['outputs'].items():
        values = sample(found[name], len(wanted['values']))
        assert values['shape'] == wanted['shape']
        difference = torch.tensor(values['values']) - torch.tensor(wanted['values'])
        error = difference.abs().max().item() / wanted['std']
        assert error < 1e-4, f'{name}: {error:.2g} of the standard deviation'


def test_work(config):
    """Less than half of the original's 76.2 G of convolutions and 1.7 G of linear layers."""
    init_default_scope('mmseg')
    with torch.device('meta'):
        model = MODELS.build(config.model).eval().to('meta')
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 384, 384, device='meta'), mode='tensor')
    assert counter.get_total_flops() / 2 == pytest.approx(32.42e9, rel=1e-3)


@pytest.mark.parametrize('ratio', [8, 4, 2])
def test_windows_are_those_that_are_cut_out_first(ratio):
    """As the original does it: windows of the map, zeros around it, each reduced by itself."""
    torch.manual_seed(0)
    reduction = WindowReduction(4, ratio).double()
    x = torch.randn(2, 4, 16, 24, dtype=torch.double)
    side, margin = 8 * ratio, 4 * (ratio - 1)
    padded = functional.pad(x, (margin,) * 4)
    windows = torch.stack(
        [
            padded[image, :, top : top + side, left : left + side]
            for image in range(2)
            for top in range(0, 16, 8)
            for left in range(0, 24, 8)
        ]
    )
    weight, bias = reduction.projection.weight, reduction.projection.bias
    reduced = functional.conv2d(windows, weight, bias, stride=ratio)
    wanted = reduction.norm(reduced.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(reduction(x), wanted)


def test_patches_make_the_map_again():
    x = torch.randn(2, 3, 16, 24)
    patches = as_patches(x)
    assert torch.equal(patches[4], x[0, :, 8:16, 8:16]) and len(patches) == 2 * 2 * 3
    assert torch.equal(as_map(patches, 16, 24), x)


def test_attention_is_the_definitions():
    """Head by head, position by position."""
    torch.manual_seed(0)
    heads, dim = 4, 2
    attention = LawinAttention(16, heads).double().eval()
    attention.conv_out.norm.weight.data.fill_(1.0)
    query, context = torch.randn(2, 3, 16, 8, 8, dtype=torch.double)
    found = attention(query, context)
    parts = context.flatten(2).split(16 // heads, dim=1)
    mixed = [part + mix(part) for part, mix in zip(parts, attention.position_mixing)]
    context = torch.cat(mixed, dim=1).reshape(query.shape)
    theta, phi, value = (
        layer(x).flatten(2).split(dim, dim=1)
        for layer, x in ((attention.theta, query), (attention.phi, context), (attention.g, context))
    )
    outputs = []
    for head in range(heads):
        scores = torch.einsum('bci,bcj->bij', theta[head], phi[head]) / dim**0.5
        outputs.append(torch.einsum('bij,bcj->bci', scores.softmax(dim=2), value[head]))
    output = torch.cat(outputs, dim=1).reshape(3, 8, 8, 8)
    torch.testing.assert_close(found, query + attention.conv_out(output))
    with pytest.raises(ValueError, match='3 heads do not divide 16 channels'):
        LawinAttention(16, 3)


def test_starts_as_the_original(small):
    """Attention starts as no change; linear layers as a vision transformer's."""
    head = small.decode_head
    assert all(not attention.conv_out.bn.weight.any() for attention in head.attentions)
    for linear in (head.low_level, *head.embeddings, *head.attentions[0].position_mixing[:3]):
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.25)
        assert not linear.bias.any()
    conv = head.reductions[1].projection
    assert conv.weight.std().item() == pytest.approx((2 / (128 * 16)) ** 0.5, rel=0.05)
    for conv in head.deep_seg:
        assert conv.weight.abs().max() <= conv.weight[0].numel() ** -0.5
    images = torch.randn(1, 3, 64, 128)
    patches = torch.randn(2, 128, 8, 8)
    torch.testing.assert_close(head.attentions[0](patches, patches), patches)
    assert small(images, mode='tensor').shape == (1, 1, 16, 32)


def test_losses_are_of_four_maps(small):
    head, maps = small.decode_head, features(64, 128, batch=2)
    masks = (torch.rand(2, 1, 64, 128) > 0.7).float()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=mask)) for mask in masks]
    losses = head.loss(maps, samples, train_cfg={})
    assert list(losses) == [
        *('loss_structure', 'deep1.loss_structure', 'deep2.loss_structure', 'loss_boundary')
    ]
    enlarged = [
        functional.interpolate(x, (64, 128), mode='bilinear') for x in head.supervised(maps)
    ]
    structure = StructureLoss(weighted_cross_entropy=True)
    for loss, logits in zip(losses.values(), enlarged[:3]):
        torch.testing.assert_close(loss, structure(logits, masks[:, 0]))
    boundary = LaplacianBoundaryLoss()(enlarged[3], masks)
    torch.testing.assert_close(losses['loss_boundary'], boundary)
    with torch.autocast('cpu', torch.bfloat16):
        half = head.loss(maps, samples, train_cfg={})
    for name, loss in losses.items():
        torch.testing.assert_close(half[name].float(), loss, rtol=0.05, atol=0.05)
    parameters = list(head.parameters())
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in parameters)


def test_each_map_is_supervised_by_itself(small):
    """As the original (lib/lawinloss.py): a classifier's gradient reaches all below it."""
    head = small.decode_head
    maps = [x.requires_grad_() for x in features(64, 64)]
    own = dict(zip(('logits', 'fused', 'deepest', 'boundary'), head.supervised(maps)))
    embeddings = [layer.weight for layer in head.embeddings]
    classifiers = [conv.weight for conv in head.deep_seg]
    reached = {}
    for name, x in own.items():
        wanted = [*maps, *embeddings, *classifiers]
        grads = torch.autograd.grad(x.square().sum(), wanted, retain_graph=True, allow_unused=True)
        reached[name] = ''.join('-' if g is None or not g.any() else 'x' for g in grads)
    # of the maps at strides 4, 8, 16 and 32, of three linear layers, of two classifiers
    assert reached == dict(
        logits='xxxxxxx--', fused='-xxxxxxx-', deepest='---x--x-x', boundary='x--------'
    )


@pytest.mark.parametrize('size', [(64, 128), (101, 75)])
def test_predicts_at_any_size(small, size):
    """Sides that 64 does not divide are padded, and the padding is cut off again."""
    image = torch.randint(0, 255, (3, *size), dtype=torch.uint8)
    meta = dict(img_shape=size, ori_shape=size)
    data = dict(inputs=[image], data_samples=[SegDataSample(metainfo=meta)])
    with torch.no_grad():
        (result,) = small.test_step(data)
    padded = tuple(-(-side // 64) * 64 for side in size)
    images = torch.zeros(1, 3, *padded)
    images[..., : size[0], : size[1]] = (image.flip(0) - 120.0) / 60
    with torch.no_grad():
        logits = small.encode_decode(images, [dict(img_shape=images.shape[2:])])
    wanted = logits.sigmoid()[0, :, : size[0], : size[1]]
    torch.testing.assert_close(result.seg_logits.data, wanted)
    torch.testing.assert_close(result.pred_sem_seg.data, (wanted > 0.5).float())


def test_head_refuses_what_does_not_fit(small):
    head = small.decode_head
    with pytest.raises(ValueError, match='has 12 x 8: .*multiples of 64.*size_divisor=64'):
        head(features(96, 64))
    with pytest.raises(ValueError, match=r'in_channels are \[18, 24, 24, 40\], but .*\[18, 24, 24'):
        head([*features(64, 64)[:3], torch.randn(1, 8, 2, 2)])
    with pytest.raises(ValueError, match='four values.*strides 4, 8, 16 and 32'):
        LawinHead((16, 24))
    with pytest.raises(ValueError, match='num_classes must be 2.*got 3'):
        LawinHead(CHANNELS, num_classes=3)
    with pytest.raises(ValueError, match='multiple of 128, got 64'):
        LawinHead(CHANNELS, channels=64)


@pytest.mark.parametrize(
    'name, side, batch, epochs',
    [('kvasir', 384, 12, 300), ('pranet', 384, 12, 300), ('dfuc2022', 512, 6, 150)],
)
def test_recipe_is_the_originals(root, name, side, batch, epochs):
    """The defaults of kytimmylai/DFUC2022's train.py, and of the polyps' program."""
    cfg = Config.fromfile(root / f'configs/dfus_hardnetv2-53_{name}.py')
    optimizer = dict(type='AdamW', lr=2.001e-4, eps=1e-7, weight_decay=0.01)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', optimizer=optimizer)
    train_cfg = dict(type='RandomSizeTrainLoop', side=side, divisor=64, max_epochs=epochs)
    assert cfg.train_cfg == dict(train_cfg, val_interval=10)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.model.decode_head.loss_decode.weighted_cross_entropy
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor.size_divisor == preprocessor.test_cfg.size_divisor == 64
    if name == 'dfuc2022':
        for values, wanted in (
            (preprocessor.mean, (0.6262, 0.5736, 0.5512)),
            (preprocessor.std, (0.1561, 0.1819, 0.1938)),
        ):
            assert values == pytest.approx([255 * value for value in wanted])
