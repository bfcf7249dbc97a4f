from contextlib import nullcontext

import pytest
import torch

from hardnet_mm import HarDNet
from hardnet_mm.backbones.memory import RecomputeConcatenations, concatenate


@pytest.mark.parametrize('arch', ['hardnet39ds', 'hardnet68', 'fchardnet70'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_stay(arch, dtype, with_cp):
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64)
    plain = HarDNet(arch)
    saving = HarDNet(arch, memory_efficient=True, with_cp=with_cp)
    saving.load_state_dict(plain.state_dict())
    gradients = []
    for backbone in (plain, saving):
        with torch.autocast('cpu', torch.bfloat16, enabled=dtype == torch.bfloat16):
            sum(output.square().mean() for output in backbone(images)).backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_no_concatenation_is_kept():
    features = [torch.rand(1, 4, 8, 8, requires_grad=True) for _ in range(2)]
    weight = torch.rand(2, 8, 3, 3, requires_grad=True)
    kept = []
    for context in (RecomputeConcatenations(), nullcontext()):
        with context:
            whole = concatenate(features)
            output = torch.nn.functional.conv2d(whole, weight)
        saved = output.grad_fn._saved_input  # unpacked, if it was packed
        assert torch.equal(saved, whole)
        kept.append(saved.data_ptr() == whole.data_ptr())
    assert kept == [False, True]


def test_an_address_that_is_used_again_is_another_tensor():
    """A concatenation that nobody saved is freed, and its memory may come back in its shape."""
    weight = torch.rand(2, 8, 3, 3, requires_grad=True)
    with RecomputeConcatenations():
        address = concatenate([torch.zeros(1, 4, 64, 64)] * 2).data_ptr()
        others = []
        while len(others) < 50 and not (others and others[-1].data_ptr() == address):
            others.append(torch.rand(1, 8, 64, 64))
        torch.nn.functional.conv2d(others[-1], weight).sum().backward()
    (wanted,) = torch.autograd.grad(torch.nn.functional.conv2d(others[-1], weight).sum(), weight)
    torch.testing.assert_close(weight.grad, wanted)
