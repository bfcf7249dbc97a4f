import copy

import pytest
import torch
from torch import nn

from hardnet_mm.backbones import HarDBlock, block_function
from hardnet_mm.backbones.memory import RecomputeFeatures, remember_activations
from hardnet_mm.layers import winograd


@pytest.fixture
def runs(monkeypatch):
    """Count the blocks that are computed as one function."""
    counted, run = [], block_function.run
    monkeypatch.setattr(block_function, 'run', lambda *a: counted.append(0) or run(*a))
    return counted


def train(block, x, dtype, saving):
    """Return the output, the input's gradient, the parameters' and the buffers, after a step."""
    torch.manual_seed(1)
    block, x = copy.deepcopy(block).to(dtype), x.to(dtype).requires_grad_()
    transition = nn.Conv2d(block.out_channels, 3, 1).to(dtype)
    if saving:
        remember_activations(block)
        with RecomputeFeatures():
            feature = block(x)
            output = transition(feature)
        assert output.grad_fn._saved_input.data_ptr() != feature.data_ptr()  # made again
    else:
        output = transition(block(x))
    output.square().mean().backward()
    gradients = [parameter.grad for parameter in block.parameters()]
    return [output, x.grad, transition.weight.grad, *gradients, *block.buffers()]


@pytest.mark.parametrize('act', ['ReLU', 'ReLU6', 'InPlaceReLU6'])
@pytest.mark.parametrize('num_layers', [1, 4, 8, 9])
def test_the_same_step(runs, act, num_layers):
    block = HarDBlock(7, 6, 1.7, num_layers, act_cfg=dict(type=act))
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 4)  # so that ReLU6 has something to cut off
            nn.init.uniform_(norm.bias)
    x = torch.rand(2, 7, 9, 10)
    wanted = train(block, x, torch.float64, saving=False)
    assert not runs
    torch.testing.assert_close(train(block, x, torch.float64, saving=True), wanted)
    assert runs


def test_by_winograd(runs, monkeypatch):
    used, convolve = [], winograd.convolve
    monkeypatch.setattr(winograd, 'convolve', lambda *a: used.append(0) or convolve(*a))
    block, x = HarDBlock(128, 40, 1.7, 4), torch.rand(4, 128, 28, 28)
    wanted = train(block, x, torch.float32, saving=False)
    found = train(block, x, torch.float32, saving=True)
    assert runs and used
    for a, b in zip(found, wanted):
        assert (a - b).double().norm() <= 1e-4 * b.double().norm() + 1e-7


@pytest.mark.parametrize(
    'change',
    [
        lambda block: block.layers[0].norm.eval(),
        lambda block: block.layers[0].register_forward_hook(lambda *_: None),
        lambda block: block.layers[0].conv.register_forward_pre_hook(lambda *_: None),
        lambda block: setattr(block, 'with_cp', True),
        lambda block: setattr(block.layers[1].norm, 'momentum', None),
    ],
)
def test_other_blocks_go_layer_by_layer(runs, change):
    block = HarDBlock(4, 6, 1.7, 2)
    change(block)
    with RecomputeFeatures():
        block(torch.rand(1, 4, 8, 8, requires_grad=True))
    assert not runs


def test_a_single_value_per_channel_is_refused():
    with RecomputeFeatures(), pytest.raises(ValueError, match='more than 1 value per channel'):
        HarDBlock(4, 6, 1.7, 2)(torch.rand(1, 4, 1, 1, requires_grad=True))


@pytest.mark.parametrize(
    'options',
    [
        dict(depthwise=True),
        dict(dilation=2),
        dict(norm_cfg=dict(type='GN', num_groups=2)),
        dict(act_cfg=dict(type='SiLU')),
    ],
)
def test_other_layers_go_one_by_one(runs, options):
    with RecomputeFeatures():
        HarDBlock(4, 6, 1.7, 2, **options)(torch.rand(1, 4, 8, 8, requires_grad=True))
    assert not runs


def test_not_under_autocast(runs):
    with RecomputeFeatures(), torch.autocast('cpu', torch.bfloat16):
        output = HarDBlock(4, 6, 1.7, 2)(torch.rand(1, 4, 8, 8, requires_grad=True))
    assert not runs and output.dtype == torch.bfloat16
