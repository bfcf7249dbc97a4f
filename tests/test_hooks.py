import argparse

import torch

from hardnet_mm import HarDNet
from hardnet_mm.hooks import ChannelsLastHook


def test_channels_last():
    model = HarDNet('hardnet39ds', out_indices=(1,)).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted = model(image)[0]
        ChannelsLastHook().before_run(argparse.Namespace(model=model))
        got = model(image)[0]
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert not got.is_contiguous()
    torch.testing.assert_close(got, wanted)
