import copy

import pytest
import torch
from helpers.precision import assert_as_exact
from torch import nn

from hardnet_mm import HarDNet
from hardnet_mm.deploy import FusedConv, to_deploy
from hardnet_mm.kernels.cpu import winograd
from hardnet_mm.kernels.cpu.buffers import MemoryPool
from hardnet_mm.kernels.cpu.capabilities import has_onednn_convolutions

pytestmark = pytest.mark.cpu


def channels_last(*shape):
    return torch.randn(shape).to(memory_format=torch.channels_last)


@pytest.fixture
def always(monkeypatch):
    """Let Winograd's algorithm compute small convolutions as well; count its calls."""
    if not has_onednn_convolutions(torch.float32):
        pytest.skip("Winograd's algorithm needs oneDNN's convolutions, which PyTorch lacks here")
    calls = []
    convolve = winograd.convolve
    monkeypatch.setattr(winograd, 'is_faster', lambda weight, x: True)
    monkeypatch.setattr(winograd, 'convolve', lambda *args: calls.append(0) or convolve(*args))
    return calls


@pytest.mark.parametrize(
    'shape', [(1, 8, 12, 9), (2, 5, 13, 7), (3, 16, 1, 1), (1, 3, 2, 20), (2, 64, 32, 8)]
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('packed_for', [4, 6])  # heights whose tiles have four and six rows
@torch.no_grad()
def test_the_same_convolution(always, shape, dtype, packed_for):
    if not has_onednn_convolutions(dtype):
        pytest.skip(f'PyTorch lacks oneDNN convolutions in {dtype} here')
    conv = nn.Conv2d(shape[1], 6, 3, padding=1).to(dtype)
    fused = FusedConv(conv, act=nn.ReLU6(), pool=MemoryPool())
    fused(channels_last(1, shape[1], packed_for, 8).to(dtype))  # lays the weights out
    x = channels_last(*shape).to(dtype)
    found, plain = fused(x), nn.functional.relu6(conv(x))
    exact = nn.functional.relu6(copy.deepcopy(conv).double()(x.double()))
    assert len(always) == 2 and found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert_as_exact(found, plain, exact)


@pytest.mark.parametrize('rows', winograd.OUTPUT_TRANSFORM)
def test_the_algorithm_is_exact(rows):
    """In rational numbers the three matrices give the convolution of every row of a tile."""
    to_products, of_kernel, to_rows = (
        torch.tensor(table[rows], dtype=torch.float64)
        for table in (
            winograd.INPUT_TRANSFORM,
            winograd.KERNEL_TRANSFORM,
            winograd.OUTPUT_TRANSFORM,
        )
    )
    x, kernel = torch.randn(2, rows + 2, dtype=torch.float64)
    kernel = kernel[:3]
    wanted = nn.functional.conv1d(x[None], kernel[None, None])[0]
    torch.testing.assert_close(to_rows @ ((of_kernel @ kernel) * (to_products @ x)), wanted)


def test_it_takes_the_tile_with_fewer_products():
    weight = torch.empty(1, 1, 3, 3)
    wanted = {4: 4, 6: 6, 12: 6, 32: 4, 64: 6, 128: 6}
    assert {height: winograd.rows_per_tile(height, weight.dtype) for height in wanted} == wanted
    assert winograd.rows_per_tile(6, torch.bfloat16) == 4


@pytest.mark.parametrize(
    'options',
    [dict(stride=2), dict(dilation=2), dict(groups=2), dict(padding=0)],
)
@torch.no_grad()
def test_other_convolutions_are_left_alone(always, options):
    conv = nn.Conv2d(4, 4, **{**dict(kernel_size=3, padding=1), **options})
    x = channels_last(1, 4, 9, 9)
    torch.testing.assert_close(FusedConv(conv, pool=MemoryPool())(x), conv(x))
    assert not always


@pytest.mark.parametrize('capability', ['AVX2', 'AVX512'])
def test_it_is_for_large_convolutions_alone(monkeypatch, capability):
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: capability)
    thin, small = torch.empty(20, 256, 3, 3), channels_last(1, 256, 14, 14)
    wide, large = torch.empty(128, 256, 3, 3), channels_last(1, 256, 64, 64)
    assert winograd.is_faster(wide, large)
    assert not winograd.is_faster(wide, small) and not winograd.is_faster(thin, large)
    assert not winograd.is_faster(wide, large.half())
    between = torch.empty(70, 70, 3, 3)
    assert winograd.is_faster(between, channels_last(1, 70, 128, 128)) == (capability == 'AVX512')


@torch.no_grad()
def test_an_empty_batch(always):
    """A mask head gets one where a detector finds nothing."""
    fused = FusedConv(nn.Conv2d(4, 6, 3, padding=1), act=nn.ReLU(), pool=MemoryPool())
    assert fused(channels_last(0, 4, 9, 9)).shape == (0, 6, 9, 9)


@torch.no_grad()
def test_autocast_changes_no_weights(always):
    conv = nn.Conv2d(8, 8, 3, padding=1)
    fused, x = FusedConv(conv, pool=MemoryPool()), channels_last(1, 8, 9, 9)
    with torch.autocast('cpu', torch.bfloat16):
        fused(x)
    assert_as_exact(fused(x), conv(x), copy.deepcopy(conv).double()(x.double()))


def test_only_where_asked(always):
    images = torch.rand(1, 3, 64, 64)
    backbone = HarDNet('hardnet68', out_indices=(0,)).eval()
    to_deploy(backbone, winograd=False)(images)
    assert not always
    to_deploy(backbone)(images)
    assert always


def test_gradients_of_the_images():
    """Someone may ask for them; the fast ways have none."""
    backbone = to_deploy(HarDNet('hardnet39ds', out_indices=(0,)))
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    backbone(images)[0].sum().backward()
    assert images.grad.abs().sum() > 0


def test_outputs_that_are_held_stay_as_they_are():
    deployed = to_deploy(HarDNet('hardnet39ds'))
    held = deployed(torch.rand(1, 3, 96, 96))
    slices = [output[:, 1] for output in held]
    wanted = [output.clone() for output in slices]
    del held
    for size in (96, 128, 64):
        deployed(torch.rand(1, 3, size, size))
    for found, kept in zip(slices, wanted):
        assert torch.equal(found, kept)
