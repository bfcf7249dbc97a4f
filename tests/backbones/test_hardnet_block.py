import pytest
import torch

from hardnet_mm.backbones import HarDBlock
from hardnet_mm.backbones.hardnet_block import harmonic_links, layer_width


@pytest.mark.parametrize(
    'layer, links',
    [(1, [0]), (2, [1, 0]), (3, [2]), (4, [3, 2, 0]), (6, [5, 4]), (8, [7, 6, 4, 0])],
)
def test_links_follow_powers_of_two(layer, links):
    assert harmonic_links(layer) == links


def test_width_grows_with_links_and_is_even():
    assert [layer_width(layer, 14, 1.7) for layer in (1, 2, 4, 8)] == [14, 24, 40, 68]
    assert all(layer_width(layer, 13, 1.7) % 2 == 0 for layer in range(1, 17))


def test_output_is_odd_layers_and_an_even_last_one():
    block = HarDBlock(8, 10, 1.7, 4)
    assert block.out_layers == [1, 3, 4]
    assert block.out_channels == 10 + 10 + 28
    assert block(torch.randn(2, 8, 5, 7)).shape == (2, 48, 5, 7)
    assert HarDBlock(8, 10, 1.7, 3).out_layers == [1, 3]
