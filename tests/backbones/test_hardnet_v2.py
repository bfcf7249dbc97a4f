import pytest
import torch
from helpers.small_dfus import CHANNELS, SMALL_ARCH
from helpers.stand_in import fill_state_dict
from mmengine.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hardnet_mm.backbones import HarDNet, HarDNetV2
from hardnet_mm.backbones.hardnet_v2 import HarDBlockV2, SqueezeExcitation

OUTPUTS = ('block0', 1, 2, 3)


@pytest.fixture(scope='module')
def small():
    torch.manual_seed(0)
    return HarDNetV2(SMALL_ARCH, out_indices=OUTPUTS).eval()


def test_size_is_the_originals():
    """The classifier has 1,201,000 parameters besides. (test_lawin_head.py has its outputs.)"""
    with torch.device('meta'):
        backbone = HarDNetV2(out_indices=OUTPUTS)
    assert sum(p.numel() for p in backbone.parameters()) == 21_837_510 - 1_201_000
    assert backbone.channels == (140, 540, 800, 1200)
    assert backbone.out_strides == (4, 8, 16, 32)
    blocks = [module for module in backbone.modules() if isinstance(module, HarDBlockV2)]
    assert [block.growth for block in blocks] == [20, 40, 60, 180, 400]
    assert [block.out_channels for block in blocks] == [140, 280, 720, 1260, 1200]


@pytest.mark.parametrize(
    'num_layers, links',
    [
        (3, [[0], [1], [0, 2]]),
        (9, [[0], [1], [0, 2], [3], [4], [3, 5], [6], [7], [0, 6, 8]]),
    ],
)
def test_a_layer_reads_a_chunk_of_each_of_its_links(num_layers, links):
    """Chunk by chunk: of node k that of the divisor d is read by node k + d, and by no other."""
    width = 2
    steps = [d for d in range(1, num_layers + 1) if num_layers % d == 0]
    block = HarDBlockV2(width * len(steps), num_layers, ()).eval()
    values = torch.randn(1, width * len(steps), 3, 3)
    inputs = {}
    for number, layer in enumerate(block.layers, start=1):
        layer.register_forward_hook(
            lambda module, args, out, number=number: inputs.update({number: (args[0], out)})
        )
    with torch.no_grad():
        block(values)
    nodes = [values, *(inputs[number][1] for number in range(1, num_layers + 1))]
    for number, sources in enumerate(links, start=1):
        chunks = []
        for source in sources:
            at = [d for d in steps if source % d == 0].index(number - source)
            chunks.append(nodes[source][:, width * at : width * (at + 1)])
        assert torch.equal(inputs[number][0], torch.cat(chunks, dim=1))


def test_the_blocks_output():
    block = HarDBlockV2(9, 9, (3, 6)).eval()
    with torch.no_grad():
        assert block(torch.randn(2, 9, 4, 5)).shape == (2, 6 + 6 + 9, 4, 5)
    assert block.out_channels == 21


def test_squeeze_and_excitation():
    module = SqueezeExcitation(40)
    assert [tuple(p.shape) for p in module.parameters()] == [(2, 40), (40, 2)]
    x = torch.randn(2, 40, 5, 7)
    weights = x.flatten(2).mean(2) @ module.squeeze.weight.T
    weights = (weights.clamp(min=0) @ module.excite.weight.T).sigmoid()
    torch.testing.assert_close(module(x), x * weights[..., None, None])


def test_outputs_come_in_the_order_asked_for(small):
    assert small.channels == CHANNELS
    backward = HarDNetV2(SMALL_ARCH, out_indices=(*OUTPUTS[::-1], 0, 'stem0')).eval()
    backward.load_state_dict(small.state_dict())
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        *found, _, stem = backward(image)
        wanted = small(image)
    assert stem.shape == (1, 6, 32, 48) and backward.out_strides == (32, 16, 8, 4, 4, 2)
    for ahead, back in zip(wanted, found[::-1]):
        assert torch.equal(ahead, back)


def test_only_what_is_asked_for_is_built():
    backbone = HarDNetV2(SMALL_ARCH, out_indices=('block1',))
    names = [[name for name, _ in stage.named_children()] for stage in backbone.stages]
    first = ['pool', 'block0', 'excitation0', 'transition0']
    assert names == [first, [*first, 'block1', 'excitation1']]
    backbone(torch.randn(2, 3, 32, 32))[0].sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


@pytest.mark.parametrize('size', [(32, 32), (33, 47), (65, 50)])
def test_any_size_from_32(small, size):
    with torch.no_grad():
        outputs = small(torch.randn(2, 3, *size))
    for output, stride in zip(outputs, small.out_strides):
        # the stem's convolution rounds up, the pools down
        assert output.shape[2:] == tuple((side + 1) // 2 // (stride // 2) for side in size)
    with pytest.raises(ValueError, match='HarDNetV2 needs an input of at least 32 x 32'):
        small(torch.randn(1, 3, 31, 40))


def test_frozen_stages_and_norm_eval():
    backbone = HarDNetV2(SMALL_ARCH, frozen_stages=1, norm_eval=True).train()
    frozen, free = [backbone.stem, backbone.stages[0]], backbone.stages[1:]
    assert not any(p.requires_grad for part in frozen for p in part.parameters())
    assert all(p.requires_grad for part in free for p in part.parameters())
    assert not any(m.training for m in backbone.modules() if isinstance(m, _BatchNorm))
    assert free.training and not backbone.stem.training


def test_starts_he_normal(small):
    """By fan-out, as HarDNet."""
    backbone = MODELS.build(dict(type='HarDNetV2', arch=SMALL_ARCH))
    conv = backbone.stages[3].block0.layers[2].conv
    before = conv.weight.clone()
    nn.init.zeros_(conv.weight)
    backbone.init_weights()
    wanted = (2 / (conv.out_channels * 9)) ** 0.5
    assert conv.weight.std().item() == pytest.approx(wanted, rel=0.1)
    assert not torch.equal(conv.weight, before)


def test_refuses_what_is_no_variant():
    for changes, message in (
        (dict(arch='hardnet68'), 'unknown arch .*hardnetv2_53'),
        (dict(arch={**SMALL_ARCH, 'growth_rates': (1,)}), "unknown .*'growth_rates'"),
        (dict(arch={**SMALL_ARCH, 'num_layers': (3, 3)}), 'differ in length'),
        (dict(arch={**SMALL_ARCH, 'stem_channels': (6, 13)}), '2 does not divide 13 channels'),
        (dict(arch={**SMALL_ARCH, 'out_nodes': ((3,),) * 5}), 'out_nodes must be from 1 to 2'),
        (dict(arch=SMALL_ARCH, out_indices=(4,)), 'out_indices must be some of'),
        (dict(arch=SMALL_ARCH, frozen_stages=5), 'frozen_stages must be -1 to 4'),
    ):
        with pytest.raises(ValueError, match=message):
            HarDNetV2(**changes)
    with pytest.raises(ValueError, match=r'arch of HarDNetV2 must be str \| dict, got 53'):
        HarDNetV2(53)


def test_weights_of_the_original_load(golden, tmp_path):
    """From a whole HarDNet-DFUS, and from a classifier's file in the form of kingnet53.pth."""
    entries = [e for e in golden('hardnet_dfus')['state_dict'] if e[0].startswith('backbone.')]
    state = fill_state_dict(entries)
    whole = HarDNetV2(out_indices=OUTPUTS)
    whole.load_state_dict(dict(state))
    classifier = {f'module.{k.removeprefix("backbone.")}': v for k, v in state.items()}
    torch.save(dict(state_dict=classifier, epoch=1), tmp_path / 'kingnet53.pth')
    pretrained = dict(type='Pretrained', checkpoint=str(tmp_path / 'kingnet53.pth'))
    other = HarDNetV2(out_indices=OUTPUTS, init_cfg=pretrained)
    other.init_weights()
    found, wanted = other.state_dict(), whole.state_dict()
    assert len(wanted) == len(entries) - 2  # the classifier's
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert torch.equal(
        wanted['stages.1.excitation1.excite.weight'], state['backbone.base.11.fc.2.weight']
    )
    with pytest.raises(RuntimeError, match='Missing key'):
        HarDNet('hardnet39ds').load_state_dict(dict(state))


def test_group_norm_has_groups_that_divide_the_channels():
    norm = dict(type='GN', num_groups=32)
    with pytest.raises(ValueError, match='GN with 32 groups .* num_groups=10,'):
        HarDNetV2(out_indices=(0,), norm_cfg=norm)
    backbone = HarDNetV2(out_indices=(0,), norm_cfg=dict(norm, num_groups=10))
    assert backbone(torch.rand(1, 3, 32, 32))[0].shape == (1, 120, 8, 8)
