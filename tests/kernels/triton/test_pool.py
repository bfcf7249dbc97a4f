import pytest
import torch
from torch import nn

POOLS = {
    'copy': None,
    'max': nn.MaxPool2d(2),
    'max, sizes rounded up': nn.MaxPool2d(2, ceil_mode=True),
    'max of 3': nn.MaxPool2d(3, 2, 1),
    'average': nn.AvgPool2d(2),
    'average, sizes rounded up': nn.AvgPool2d(2, ceil_mode=True),
    'average of 3': nn.AvgPool2d(3, 2, 1),
    'average of 3, sizes rounded up': nn.AvgPool2d(3, 2, 1, ceil_mode=True),
}


@pytest.mark.parametrize('name', POOLS)
@pytest.mark.parametrize('channels', [16, 10])
def test_the_same_pool(device, name, channels):
    from hardnet_mm.kernels.triton.padded_maps import PaddedMaps
    from hardnet_mm.kernels.triton.pool import Pool, pool_into

    x = torch.randn(2, channels, 7, 6).half().to(device, memory_format=torch.channels_last)
    layer = POOLS[name]
    wanted = x if layer is None else layer(x.float()).half()
    pool = Pool.of(layer)
    assert pool.sides(x.shape[2:]) == tuple(wanted.shape[2:])
    maps = PaddedMaps((2, *wanted.shape[2:]), 1, 24, x)
    maps.buffer.fill_(float('nan'))
    pool_into(maps, 16, x, pool)
    torch.testing.assert_close(maps.channels(0, channels), wanted)
    assert maps.buffer[:, 16:].isnan().all()  # the next feature's place
    inside = maps.buffer[:, :16].double().abs().sum()
    assert inside == pytest.approx(wanted.double().abs().sum().item())  # zeros around them
