import pytest
import torch
from torch.nn import functional

from hardnet_mm.layers import convolution, winograd


@pytest.mark.parametrize('most_at_once', [1, winograd.MOST_AT_ONCE])
@pytest.mark.parametrize('shape, wide', [((3, 160, 33, 31), 200), ((16, 130, 14, 14), 140)])
def test_gradients_of_large_convolutions(monkeypatch, shape, wide, most_at_once):
    monkeypatch.setattr(winograd, 'MOST_AT_ONCE', most_at_once)  # one image, or several
    calls = []
    for name in ('convolve', 'weight_gradient'):
        function = getattr(winograd, name)
        monkeypatch.setattr(
            winograd, name, lambda *a, function=function: calls.append(0) or function(*a)
        )
    x = torch.randn(shape).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(wide, shape[1], 3, 3, requires_grad=True)
    wanted = functional.conv2d(x, weight, padding=1)
    gradient = torch.randn_like(wanted)
    wanted.backward(gradient)
    with torch.no_grad():
        found = convolution.convolve(x, weight)
        of_x = convolution.input_gradient(gradient, weight)
        of_weight = convolution.weight_gradient(x, gradient)
    assert len(calls) == 3
    for a, b in ((found, wanted), (of_x, x.grad), (of_weight, weight.grad)):
        assert (a - b).norm() < 1e-5 * b.norm()
