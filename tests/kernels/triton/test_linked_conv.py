import pytest
import torch
from helpers.precision import assert_as_exact
from torch import nn
from torch.nn import functional

from hardnet_mm import HarDNet
from hardnet_mm.backbones import HarDBlock
from hardnet_mm.backbones.architectures import ARCHITECTURES

WIDTHS = (40, 14, 24)  # of the features there are
SLOT = 16


@pytest.fixture
def blocks(device):
    from hardnet_mm.kernels.triton.linked_conv import Blocks

    def make(**changes):
        values = dict(rows=64, out=16, out2=0, inner=32, splits=1, warps=4, stages=3)
        return Blocks(**{**values, 'accelerator': True, **changes})

    return make


def starts(widths, slot=SLOT):
    found = [0]
    for width in widths:
        found.append(found[-1] + -(-width // slot) * slot)
    return found


def compute(device, blocks, shape=(2, 3, 5), halo=1, kernel=3, stride=1, padded=True, **settings):
    """Return the kernel's output, a plain and an exact one, and what lies around the first."""
    from hardnet_mm.kernels.triton.linked_conv import LinkedConv
    from hardnet_mm.kernels.triton.padded_maps import PaddedMaps

    torch.manual_seed(0)
    links, out_channels = settings.get('links', (2, 0)), settings.get('out_channels', 14)
    act = settings.get('act', nn.ReLU())
    like = torch.empty(0, dtype=torch.float16, device=device)
    places = starts(WIDTHS)
    maps = PaddedMaps(shape, halo, places[-1], like)
    maps.buffer.zero_()
    features = [torch.randn(shape[0], width, *shape[1:]).half() for width in WIDTHS]
    for place, feature in zip(places, features):
        maps.channels(place, feature.shape[1]).copy_(feature)
    x = torch.cat([features[link] for link in links], dim=1)
    weight = (torch.randn(out_channels, x.shape[1], kernel, kernel) / 20).half()
    bias = torch.linspace(-8, 8, out_channels).half()  # ReLU6 clips at both ends
    conv = LinkedConv(
        *(weight.to(device), bias.to(device), act),
        *([(places[link], WIDTHS[link]) for link in links], stride, SLOT),
    )
    sides = [-(-side // stride) for side in shape[1:]]
    geometry = PaddedMaps((shape[0], *sides), halo, conv.out_channels + 8, like)
    out = geometry.buffer.fill_(float('nan'))[:, 8:]
    if not padded:
        out = like.new_full((shape[0] * sides[0] * sides[1], conv.out_channels), float('nan'))
    for _ in range(1 + (blocks.splits > 1)):  # the second run finds what the first one left
        out.fill_(float('nan'))
        conv(maps, out, padded, blocks, geometry)
    padding = halo * (kernel // 2)
    exact = functional.conv2d(
        *(x.double(), weight.double(), bias.double()),
        **dict(stride=stride, padding=padding, dilation=halo if kernel == 3 else 1),
    )
    if padded:
        assert not out.isnan().any() and geometry.buffer[:, :8].isnan().all()
        found = geometry.channels(8, out_channels)
        assert out.double().abs().sum() == pytest.approx(found.double().abs().sum())
    else:
        found = out.view(shape[0], *sides, -1).permute(0, 3, 1, 2)
        assert not found[:, out_channels:].any() or act is None
        found = found[:, :out_channels]
    exact = act(exact)
    return found.cpu(), exact.half(), exact


WAYS = {
    'as it is': dict(),
    'loads by threads': dict(accelerator=False),
    'two blocks of outputs': dict(out2=16),
    'split sums': dict(splits=3),
    'split sums, two blocks': dict(splits=2, out2=16),
    'several programs': dict(rows=16, inner=64),
    'lines': dict(taps=3),
    'lines, several programs': dict(taps=3, rows=16),
    'lines, split sums, two blocks': dict(taps=3, splits=2, out2=16),
    'lines, loads by threads': dict(taps=3, accelerator=False, rows=32),
}


@pytest.mark.parametrize('way', WAYS)
def test_the_same_convolution(device, blocks, way):
    assert_as_exact(*compute(device, blocks(**WAYS[way]), out_channels=30))


@pytest.mark.parametrize(
    'settings',
    [
        dict(halo=2),
        dict(halo=8, shape=(1, 2, 3)),
        dict(kernel=1, padded=False, act=nn.ReLU6()),
        dict(kernel=1),
        dict(padded=False, links=(1,), act=nn.Identity()),
        dict(shape=(1, 1, 1)),
        dict(shape=(3, 2, 9), links=(2, 1, 0)),
        dict(stride=2, shape=(2, 7, 6)),
        dict(stride=2, shape=(1, 4, 5), padded=False),
    ],
)
def test_geometries(device, blocks, settings):
    accelerator = settings.get('stride', 1) == 1
    assert_as_exact(*compute(device, blocks(accelerator=accelerator), **settings))
    if accelerator and settings.get('kernel', 3) == 3:
        assert_as_exact(*compute(device, blocks(rows=16, taps=3), **settings))


def conv_patterns(device, slot):
    """Yield the name and a linked convolution of every pattern of links in every dense variant."""
    from hardnet_mm.kernels.triton.linked_conv import LinkedConv

    seen = set()
    for arch in ARCHITECTURES:
        if arch.endswith('ds'):
            continue
        for name, block in HarDNet(arch).named_modules():
            if not isinstance(block, HarDBlock):
                continue
            widths = [block.layers[0].in_channels] + [layer.out_channels for layer in block.layers]
            places = starts(widths, slot)
            for links in (*block.links, block.out_layers):
                pattern = tuple((places[link], widths[link]) for link in links)
                if pattern not in seen:
                    seen.add(pattern)
                    channels = sum(width for _, width in pattern)
                    weight = torch.rand(2, channels, 1, 1, device=device)
                    yield (
                        f'{arch} {name} {links}',
                        LinkedConv(weight, None, nn.ReLU(), list(pattern), 1, slot),
                    )


@pytest.mark.parametrize('window', [pytest.param(32, marks=pytest.mark.slow), 64])
def test_windows_hold_every_link_of_every_variant(device, window):
    """A product with the packed weights is the one with the plain weights, whatever is between."""
    number = 0
    for name, conv in conv_patterns(device, 32):
        runs, packed = conv.pack(window)
        assert len(runs) <= 6
        maps = torch.rand(conv.reach, device=device, dtype=torch.float64)
        taken, step = packed.new_zeros(conv.out_channels, dtype=torch.float64), 0
        for end, windows in runs:
            assert end <= conv.reach, name  # what is above may not be written yet
            for index in range(1, windows + 1):
                first = max(end - index * window, 0)
                weights = packed[:, step : step + window].double()
                taken += weights @ maps[first : first + window]
                step += window
        assert step == packed.shape[1]
        read = torch.cat([maps[first : first + width] for first, width in conv.links])
        torch.testing.assert_close(taken[:2], conv.weight.flatten(1).double() @ read)
        number += 1
    assert number > 100
