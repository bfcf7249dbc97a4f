import pytest
import torch
from torch import nn

from hardnet_mm import HarDNet
from hardnet_mm.training.in_place_relu6 import InPlaceReLU6


def step(activation, x):
    """Return the output, the input's gradient, and that of its squared sum."""
    x = x.detach().requires_grad_()
    output = activation(x * 1)
    (gradient,) = torch.autograd.grad(output.pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    return output, gradient, second


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_gradients_are_those_of_relu6(dtype):
    x = torch.tensor([-7.0, -1, 0, 1e-3, 3, 5.99, 6, 6.01, 70, float('inf')], dtype=dtype)
    found, wanted = step(InPlaceReLU6(), x), step(nn.ReLU6(), x)
    for a, b in zip(found, wanted):
        assert torch.equal(a, b) and a.dtype == dtype


def test_functional_gradients():
    x = torch.randn(9) * 8
    gradient = torch.func.grad(lambda x, activation: activation(x * 1).square().sum())
    assert torch.equal(gradient(x, InPlaceReLU6()), gradient(x, nn.ReLU6()))


def test_it_keeps_its_output_alone():
    x = torch.randn(2, 3, 4, 4, requires_grad=True) * 8
    address = x.data_ptr()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.data_ptr()) or tensor, lambda tensor: tensor
    ):
        output = InPlaceReLU6()(x)
    assert output.data_ptr() == address and kept == [address]


@pytest.mark.parametrize('inplace', [False, True])
def test_without_gradients_and_out_of_place(inplace):
    x = torch.randn(5) * 8
    wanted = nn.functional.relu6(x)
    y = x.clone()
    output = InPlaceReLU6(inplace)(y)
    assert torch.equal(output, wanted)
    assert torch.equal(y, wanted if inplace else x)


def test_tracers_see_a_plain_operation():
    x = torch.randn(5, requires_grad=True) * 8
    traced = torch.jit.trace(nn.Sequential(nn.Linear(5, 5), InPlaceReLU6()), x.detach())
    assert 'hardtanh' in str(traced.inlined_graph) and 'Python' not in str(traced.inlined_graph)


def test_a_backbone_keeps_no_copies_of_its_features():
    """Of a layer, the convolution's output and the activation's, and not a third."""
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.setdefault(tensor.data_ptr(), tensor), lambda tensor: tensor
    ):
        HarDNet('hardnet68', out_indices=('stem1',))(torch.rand(1, 3, 32, 64))
    maps = [tuple(tensor.shape) for tensor in kept.values() if tensor.shape[-2:] == (16, 32)]
    assert sorted(maps) == [(1, 32, 16, 32)] * 2 + [(1, 64, 16, 32)] * 2
