import weakref

import pytest
import torch
from helpers.parity import assert_original_outputs, load_original
from helpers.stand_in import golden_input
from mmengine.analysis import FlopAnalyzer
from torch import nn

from hardnet_mm import HarDNet
from hardnet_mm.backbones.architectures import ARCHITECTURES, group_blocks

# name: parameters with the classifier, GMACs at 224, channels of the four stages
PUBLISHED = {
    'hardnet39ds': (3_488_228, 0.43, (96, 320, 640, 1024)),
    'hardnet68ds': (4_180_602, 0.77, (128, 320, 640, 1024)),
    'hardnet68': (17_565_348, 4.25, (128, 320, 640, 1024)),
    'hardnet85': (36_670_212, 9.07, (192, 320, 720, 1280)),
}


class Classifier(nn.Module):
    """The original's head behind our backbone."""

    def __init__(self, arch):
        super().__init__()
        self.backbone = HarDNet(arch, out_indices=(3,))
        self.head = nn.Sequential()
        self.head.fc = nn.Linear(self.backbone.channels[-1], 1000)

    def forward(self, image):
        return self.head.fc(self.backbone(image)[0].mean(dim=(2, 3)))


@pytest.fixture(scope='module', params=PUBLISHED)
def classifier(request):
    return request.param, Classifier(request.param).eval()


def numbered_layers(backbone):
    """Return {N in the original's base: our module}, for layers that golden files hold."""
    number, layers = 0, {}
    for layer in backbone.stem:
        layers[number] = layer
        number += 1
    for stage in backbone.stages:
        for layer in stage.children():
            layers[number] = layer
            number += 1
    return layers


def test_outputs_are_the_originals(classifier, golden):
    arch, model = classifier
    expected = golden(f'{arch}_cls')
    load_original(model, expected)
    seen = {}
    for number, layer in numbered_layers(model.backbone).items():
        layer.register_forward_hook(
            lambda module, inputs, output, name=f'base.{number}': seen.update({name: output})
        )
    with torch.no_grad():
        seen['logits'] = model(golden_input(*expected['input']))
    assert len(expected['outputs']) > 5
    assert_original_outputs(seen, expected, tolerance=1e-4)


def test_size_is_the_originals(classifier):
    arch, model = classifier
    parameters, gmacs, _ = PUBLISHED[arch]
    assert sum(p.numel() for p in model.parameters()) == parameters
    counted = FlopAnalyzer(model, (torch.zeros(1, 3, 224, 224),)).by_operator()
    # The published counts leave BatchNorm out, which inference folds into the convolutions.
    assert (counted['conv'] + counted['linear']) / 1e9 == pytest.approx(gmacs, rel=0.01)


def test_segmentation_encoder_has_the_originals_weights():
    encoder = HarDNet('fchardnet70', out_indices=('block0', 'block1', 'block2', 'block3', 4))
    assert encoder.channels == (48, 78, 160, 214, 320)
    assert encoder.out_strides == (4, 8, 16, 32, 64)


@pytest.mark.parametrize('arch', PUBLISHED)
def test_channels_and_strides_are_known_before_a_forward_pass(arch):
    backbone = HarDNet(arch)
    assert backbone.channels == PUBLISHED[arch][2]
    assert backbone.out_strides == (4, 8, 16, 32)


@pytest.mark.parametrize('arch', ARCHITECTURES)
@pytest.mark.parametrize('size', [(32, 32), (33, 47), (65, 50)])
def test_any_size_from_32(arch, size):
    backbone = HarDNet(arch).eval()
    with torch.no_grad():
        outputs = backbone(torch.randn(2, 3, *size))
    for output, channels, stride in zip(outputs, backbone.channels, backbone.out_strides):
        assert output.shape[:2] == (2, channels)
        for got, side in zip(output.shape[2:], size):
            assert side // stride <= got <= -(-side // stride)


def test_outputs_come_in_the_order_asked_for():
    torch.manual_seed(0)
    forward = HarDNet('hardnet39ds', out_indices=('stem1', 'block0', 0, 'block1', 2)).eval()
    backward = HarDNet('hardnet39ds', out_indices=(2, 'block1', 0, 'block0', 'stem1')).eval()
    backward.load_state_dict(forward.state_dict())
    assert forward.channels == backward.channels[::-1]
    assert forward.out_strides == (2, 4, 4, 8, 16)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for ahead, back in zip(forward(image), backward(image)[::-1]):
            torch.testing.assert_close(ahead, back)


def test_outputs_that_nobody_asked_for_are_freed():
    backbone = HarDNet('hardnet39ds', out_indices=(0, 'block3')).eval()
    made, alive = [], []
    for layer in (*backbone.stem, *(stage.transition0 for stage in backbone.stages[:2])):
        layer.register_forward_hook(lambda *args: made.append(weakref.ref(args[-1])))
    backbone.stages[3].block0.register_forward_pre_hook(
        lambda *_: alive.extend(output() is not None for output in made)
    )
    with torch.no_grad():
        backbone(torch.rand(1, 3, 32, 32))
    assert alive == [False, False, True, False]


def test_the_first_block_of_a_stage_is_freed_too():
    backbone = HarDNet('hardnet68', out_indices=('block1',)).eval()
    stage, made, alive = backbone.stages[1], [], []
    stage.block0.register_forward_hook(lambda *args: made.append(weakref.ref(args[-1])))
    stage.block1.register_forward_pre_hook(lambda *_: alive.append(made[0]() is not None))
    with torch.no_grad():
        backbone(torch.rand(1, 3, 32, 32))
    assert alive == [False]


def test_stem_and_stages_are_called_as_modules():
    """What hooks and wraps them needs that: class activation maps, distillation, FSDP."""
    backbone = HarDNet('hardnet39ds', out_indices=('stem0', 'block1', 1, 3)).eval()
    seen, image = {}, torch.rand(1, 3, 64, 64)
    parts = ['stem', *(f'stages.{i}' for i in range(4))]
    for name in parts:
        backbone.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output})
        )
    outputs = backbone(image)
    assert list(seen) == parts
    assert outputs[2] is seen['stages.1'] and outputs[3] is seen['stages.3']
    assert torch.equal(backbone.stem(image), seen['stem'])  # alone, as any Sequential
    # a class activation map needs the gradient at a stage's output
    (gradient,) = torch.autograd.grad(outputs[3].square().sum(), seen['stages.2'])
    assert gradient.abs().sum() > 0


def test_what_a_hook_returns_takes_the_place_of_a_stage():
    backbone = HarDNet('hardnet39ds', out_indices=(0, 'block1')).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        stage, block = backbone(image)
        backbone.stages[0].register_forward_hook(lambda module, inputs, output: 0 * output)
        changed_stage, changed_block = backbone(image)
    assert stage.abs().sum() > 0 and changed_stage.abs().sum() == 0
    assert not torch.equal(block, changed_block)


class Wrapper(nn.Module):
    """As FSDP, which casts and copies what it passes on."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        args, kwargs = torch.utils._pytree.tree_map(lambda value: value, (args, kwargs))
        return self.module(*args, **kwargs)


def test_stages_may_be_wrapped():
    backbone = HarDNet('hardnet39ds', out_indices=('stem0', 'stem1', 'block0', 0, 'block1')).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = backbone(image)
        backbone.stem = Wrapper(backbone.stem)
        for index, stage in enumerate(backbone.stages):
            backbone.stages[index] = Wrapper(stage)
        torch.testing.assert_close(backbone(image), wanted)


def test_centernet_skips():
    """Block outputs, as CenterNet-HarDNet reads them; its last block has no transition."""
    skips = ('stem1', 'block0', 'block1', 'block2')
    assert HarDNet('hardnet85', out_indices=skips).channels == (96, 214, 458, 784)
    backbone = HarDNet('hardnet68', out_indices=skips)
    assert backbone.channels == (64, 124, 328, 654)
    assert list(dict(backbone.stages[2].named_children())) == ['downsample', 'block0']


def test_only_what_is_asked_for_is_built():
    backbone = HarDNet('hardnet39ds', out_indices=(1,))
    assert len(backbone.stages) == 2
    backbone(torch.randn(2, 3, 64, 64))[0].sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_a_dict_of_the_same_fields_is_an_arch():
    arch = dict(
        stem_channels=(8, 16),
        growth_multiplier=1.6,
        growth_rates=(4, 8),
        num_layers=(4, 5),
        transition_channels=(24, 48),
        downsample=(1, 0),
        depthwise=True,
    )
    backbone = HarDNet(arch, out_indices=(0, 1))
    assert backbone.channels == (24, 48)
    named = HarDNet(dict(ARCHITECTURES['hardnet68']))
    assert named.state_dict().keys() == HarDNet('hardnet68').state_dict().keys()


def test_pools_activation_and_norm_are_configurable():
    backbone = HarDNet(
        'hardnet68',
        out_indices=(2,),
        pool='avg',
        ceil_mode=(False, True, False),
        act_cfg=dict(type='LeakyReLU'),
        norm_cfg=dict(type='GN', num_groups=2),
    )
    pools = [stage.downsample for stage in backbone.stages]
    assert all(isinstance(pool, nn.AvgPool2d) for pool in pools)
    assert [pool.ceil_mode for pool in pools] == [False, True, False]
    kinds = {type(module) for module in backbone.modules()}
    assert nn.LeakyReLU in kinds and nn.GroupNorm in kinds
    assert not kinds & {nn.ReLU6, nn.BatchNorm2d, nn.MaxPool2d}
    # 52 -> 13 at stride 4 -> 7 where the next pool rounds up
    assert backbone(torch.randn(1, 3, 52, 52))[0].shape[-1] == 3


def test_groups_that_do_not_divide_every_norm_are_refused_with_those_that_do():
    norm = dict(type='GN', num_groups=32)
    with pytest.raises(ValueError, match='GN with 32 groups .* num_groups=2,'):
        HarDNet('hardnet68', norm_cfg=norm)
    HarDNet('hardnet68', out_indices=(0,), norm_cfg=dict(norm, num_groups=2))
    HarDNet('hardnet68', out_indices=('stem1',), norm_cfg=norm)  # 32 and 64 channels
    with pytest.raises(ValueError, match='GN with None groups'):
        HarDNet('hardnet68', norm_cfg=dict(type='GN'))


def test_frozen_stages_do_not_train():
    backbone = HarDNet('hardnet39ds', frozen_stages=2).train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=1)
    sum(output.sum() for output in backbone(torch.randn(2, 3, 64, 64))).backward()
    optimizer.step()
    after = backbone.state_dict()
    for key, value in before.items():
        frozen = key.startswith(('stem.', 'stages.0.', 'stages.1.'))
        if frozen:
            torch.testing.assert_close(after[key], value, msg=key)
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    assert any(key.startswith('stages.2.') for key in changed)
    assert any(key.startswith('stages.3.') for key in changed)


def test_norm_eval_keeps_statistics():
    backbone = HarDNet('hardnet39ds', out_indices=(0,), norm_eval=True).train()
    before = backbone.stem[0].bn.running_mean.clone()
    backbone(torch.randn(2, 3, 64, 64))
    torch.testing.assert_close(backbone.stem[0].bn.running_mean, before)
    assert backbone.training and backbone.stem[0].bn.weight.requires_grad


def test_pretrained_init(tmp_path):
    source = HarDNet('hardnet39ds', out_indices=(1,))
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth'))
    backbone = HarDNet('hardnet39ds', out_indices=(1,), init_cfg=init_cfg)
    backbone.init_weights()
    for key, value in source.state_dict().items():
        torch.testing.assert_close(backbone.state_dict()[key], value)


def test_bfloat16_autocast_and_channels_last():
    """The AMP and memory-format code paths, as far as a CPU has them."""
    torch.manual_seed(0)
    backbone = HarDNet('hardnet39ds', out_indices=(1,)).eval()
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        wanted = backbone(image)[0]
        backbone = backbone.to(memory_format=torch.channels_last)
        got = backbone(image.to(memory_format=torch.channels_last))[0]
        assert got.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)
        with torch.autocast('cpu', torch.bfloat16):
            half = backbone(image)[0]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), wanted, rtol=0.1, atol=0.1)


@pytest.mark.parametrize('toolbox', ['mmdet', 'mmseg', 'mmpretrain'])
def test_every_toolbox_finds_it(toolbox):
    models = pytest.importorskip(f'{toolbox}.registry').MODELS
    assert models.get('HarDNet') is HarDNet
    assert isinstance(models.build(dict(type='HarDNet', arch='hardnet39ds')), HarDNet)


@pytest.mark.parametrize('arch', ['hardnet39ds', 'hardnet68'])
@pytest.mark.parametrize(
    'strides, dilations', [((1, 2, 2, 1), (1, 1, 1, 2)), ((1, 2, 1, 1), (1, 1, 2, 4))]
)
def test_dilated(arch, strides, dilations):
    """As mmseg's ResNet: the same weights, maps that stay large, and the same stages before."""
    plain, dilated = (
        HarDNet(arch).eval(),
        HarDNet(arch, strides=strides, dilations=dilations).eval(),
    )
    dilated.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 128, 96)
    with torch.no_grad():
        wanted, got = plain(image), dilated(image)
    for output, stride in zip(got, dilated.out_strides):
        assert output.shape[-2:] == (128 // stride, 96 // stride)
    assert dilated.out_strides[-1] == (16 if strides[2] == 2 else 8)
    assert torch.equal(got[1], wanted[1])
    convolutions = [m for m in dilated.stages[3].block0.modules() if isinstance(m, nn.Conv2d)]
    assert {m.dilation for m in convolutions if m.kernel_size == (3, 3)} == {(dilations[3],) * 2}


def test_stages_end_where_blocks_are_downsampled():
    assert group_blocks((1, 0, 1, 1, 0)) == [[0], [1, 2], [3], [4]]
    assert group_blocks((1, 1)) == [[0], [1]]


@pytest.mark.parametrize(
    'arguments, error, words',
    [
        (dict(arch='hardnet50'), ValueError, ['hardnet50', 'hardnet68ds', 'fchardnet70']),
        (dict(arch=68), ValueError, ['arch of HarDNet', 'str | dict', '68']),
        (dict(arch=dict(stem_channels=(8, 16))), ValueError, ['lacks', 'growth_rates']),
        (
            dict(arch={**ARCHITECTURES['hardnet68'], 'num_layers': (8, 16)}),
            ValueError,
            ['differ in length'],
        ),
        (dict(out_indices=(3, 4)), ValueError, ['out_indices', '4', 'block3']),
        (dict(out_indices=('block7',)), ValueError, ['block7']),
        (dict(out_indices=()), ValueError, ['out_indices']),
        (dict(frozen_stages=5), ValueError, ['frozen_stages', '4', '5']),
        (dict(frozen_stages=3, out_indices=(0, 1)), ValueError, ['frozen_stages', '2']),
        (dict(pool='mean'), ValueError, ['pool', 'max', 'avg', 'mean']),
        (dict(ceil_mode=(True,)), ValueError, ['ceil_mode']),
        (dict(strides=(1, 2)), ValueError, ['strides', '4 stages']),
        (dict(strides=(2, 2, 2, 2)), ValueError, ['strides must be 1, then']),
        (dict(strides=(1, 2, 3, 1)), ValueError, ['each 1 or 2']),
        (dict(dilations=(1, 1)), ValueError, ['dilations', '4 stages']),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error) as raised:
        HarDNet(**{'arch': 'hardnet68', **arguments})
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize('size', [(31, 64), (64, 16)])
def test_too_small_an_input(size):
    with pytest.raises(ValueError, match='at least 32 x 32'):
        HarDNet('hardnet39ds', out_indices=(0,))(torch.randn(1, 3, *size))
