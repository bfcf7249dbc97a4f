import copy

import pytest
import torch
from helpers.precision import assert_as_exact
from torch import nn

from hardnet_mm.deploy import FusedConv


@pytest.mark.parametrize('channels, kernel, stride', [(3, 3, 2), (4, 3, 1), (1, 1, 1)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_the_same_convolution(device, channels, kernel, stride, dtype):
    from hardnet_mm.kernels.triton.image_conv import ImageConv
    from hardnet_mm.kernels.triton.padded_maps import PaddedMaps

    torch.manual_seed(0)
    layer = FusedConv(nn.Conv2d(channels, 20, kernel, stride, kernel // 2), act=nn.ReLU()).half()
    images = torch.randn(2, channels, 9, 6).to(dtype)
    if dtype == torch.float16:
        images = images.to(memory_format=torch.channels_last)
    exact = copy.deepcopy(layer).double()(images.half().double())
    conv = ImageConv(layer.to(device))
    maps = PaddedMaps((2, *exact.shape[2:]), 1, 32, layer.weight)
    conv(images.to(device), maps)
    assert_as_exact(maps.channels(0, 20).cpu(), exact.half(), exact)
    total = maps.channels(0, 20).double().abs().sum()
    assert maps.buffer.double().abs().sum() == pytest.approx(total.item())
