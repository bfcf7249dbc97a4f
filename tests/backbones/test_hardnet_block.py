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


def test_recomputing_gives_the_same_gradients():
    torch.manual_seed(0)
    block = HarDBlock(8, 10, 1.7, 8).eval()
    image = torch.randn(2, 8, 6, 6, requires_grad=True)
    gradients = []
    for with_cp in (False, True):
        block.with_cp = with_cp
        gradients.append(torch.autograd.grad(block(image).square().sum(), image)[0])
    torch.testing.assert_close(*gradients)


def test_recomputing_keeps_fewer_activations():
    saved = {}
    for with_cp in (False, True):
        block = HarDBlock(8, 10, 1.7, 8, with_cp=with_cp)
        sizes = []

        def pack(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            block(torch.randn(2, 8, 16, 16, requires_grad=True))
        saved[with_cp] = sum(sizes)
    assert saved[True] < saved[False] / 4


def test_recomputing_updates_statistics_twice():
    """As ``with_cp`` says; mmdet's ResNet does the same."""
    block = HarDBlock(8, 10, 1.7, 2, with_cp=True)
    block(torch.randn(2, 8, 6, 6, requires_grad=True)).sum().backward()
    assert [layer.norm.num_batches_tracked.item() for layer in block.layers] == [2, 2]
