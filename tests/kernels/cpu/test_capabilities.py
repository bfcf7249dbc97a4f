import copy
import functools
import warnings

import pytest
import torch
from helpers.precision import assert_as_exact
from torch import nn

from hardnet_mm import HarDNet
from hardnet_mm.deploy import FusedConv, to_deploy
from hardnet_mm.kernels.cpu import capabilities

pytestmark = pytest.mark.cpu


@pytest.fixture
def untried(monkeypatch):
    """Let it be tried anew, and whatever CPU the tests are told to be on."""
    tried = functools.cache(capabilities.try_onednn_convolutions)
    monkeypatch.setattr(capabilities, 'works_here', tried)
    enabled, *_ = torch.backends.mkldnn.set_flags(_enabled=True)
    yield
    torch.backends.mkldnn.set_flags(_enabled=enabled)


@pytest.fixture(params=[torch.float32, torch.bfloat16, torch.float16], ids=str)
def dtype(request):
    return request.param


def refuse(*_):
    raise RuntimeError('needs the cpu support of something\nand a trace of C++ functions')


@torch.no_grad()
def assert_convolves(dtype):
    """A convolution of to_deploy is as exact as the plain one, in each layout."""
    plain = nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU6()).to(dtype)
    fused = FusedConv(*plain[:1], act=nn.ReLU6())
    x = torch.randn(2, 8, 9, 7).to(dtype)
    exact = copy.deepcopy(plain).double()(x.double())
    rounded = exact.to(dtype)  # torch 2.1 has no plain convolution in float16
    for layout in (torch.contiguous_format, torch.channels_last):
        assert_as_exact(fused(x.to(memory_format=layout)), rounded, exact)


def test_whatever_this_cpu_has(dtype):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert_convolves(dtype)


@pytest.mark.parametrize('operator', ['_reorder_convolution_weight', '_convolution_pointwise'])
@pytest.mark.parametrize('way', ['absent', 'refused', 'wrong'])
def test_what_it_lacks_is_told_once_and_computed_plainly(
    untried, monkeypatch, dtype, operator, way
):
    class Operators:
        def __getattr__(self, name):
            found = getattr(torch._ops.ops.mkldnn, name) if name != operator else None
            if found is not None:
                return found
            if way == 'absent':
                raise AttributeError(f"'_OpNamespace' 'mkldnn' object has no attribute {name!r}")
            return refuse if way == 'refused' else lambda x, *_: torch.zeros_like(x)

    monkeypatch.setattr(torch.ops, 'mkldnn', Operators())
    with pytest.warns(UserWarning, match=f"lacks oneDNN's {dtype} convolutions here") as told:
        assert_convolves(dtype)
        assert_convolves(dtype)
    ours = [str(each.message) for each in told if 'oneDNN' in str(each.message)]
    assert len(ours) == 1 and '\n' not in ours[0]
    slower = 'slower than torch.float32' if dtype != torch.float32 else 'gains less'
    assert slower in ours[0]


def test_onednn_switched_off_and_on_again(dtype):
    enabled, *_ = torch.backends.mkldnn.set_flags(_enabled=False)
    try:
        assert not capabilities.has_onednn_convolutions(dtype)
        with warnings.catch_warnings():
            warnings.simplefilter('error')  # someone asked for it: nothing to be told
            assert_convolves(dtype)
    finally:
        torch.backends.mkldnn.set_flags(_enabled=enabled)


def test_trying_it_changes_nothing_else():
    torch.manual_seed(0)
    wanted = torch.rand(1)
    torch.manual_seed(0)
    with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16):
        capabilities.try_onednn_convolutions(torch.float32)
        assert torch.is_inference_mode_enabled() and torch.rand(1) == wanted


@pytest.mark.filterwarnings('ignore:PyTorch .* lacks oneDNN')
def test_a_model_in_bfloat16_runs_without_it(untried, monkeypatch):
    monkeypatch.setattr(capabilities, '_onednn_error', refuse)
    backbone = HarDNet('fchardnet70', out_indices=(1,)).eval()
    images = torch.rand(1, 3, 64, 64)
    (found,) = to_deploy(backbone, torch.bfloat16)(images)
    with torch.no_grad():
        (wanted,) = backbone(images)
    assert found.dtype == torch.float32 and (found - wanted).norm() < 0.05 * wanted.norm()
