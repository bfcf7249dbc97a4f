"""The inference form in a half precision on a GPU: the kernels of hardnet_mm.kernels.triton.

With --device cpu Triton's interpreter runs them, on few and small networks.
"""

import copy
import sys

import pytest
import torch
from helpers.stand_in import fill_tensor
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

pytest.importorskip('triton.tools.tensor_descriptor')

from hardnet_mm import HarDNet  # noqa: E402
from hardnet_mm.deploy import to_deploy  # noqa: E402
from hardnet_mm.deploy.cuda_graphs import MOST_GRAPHS, GraphedFunction  # noqa: E402
from hardnet_mm.deploy.fused_block import FusedBlock  # noqa: E402
from hardnet_mm.deploy.fused_stage import FusedStage  # noqa: E402
from hardnet_mm.kernels.triton.linked_conv import LinkedConv  # noqa: E402

pytestmark = pytest.mark.cuda
HALVES = [torch.float16, torch.bfloat16]
# Lengths of the errors of a half precision's outputs, as shares of the outputs' lengths.
ALLOWED = {torch.float16: 6e-3, torch.bfloat16: 0.04}


def distance(found, wanted):
    """Return the length of the difference, as a share of what was wanted."""
    found, wanted = found.double().cpu(), wanted.double().cpu()
    return ((found - wanted).norm() / wanted.norm()).item()


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in flat(output)]


def settle(backbone):
    """Give a backbone the stand-in weights."""
    state = backbone.state_dict()
    backbone.load_state_dict({key: fill_tensor(key, tuple(state[key].shape)) for key in state})
    return backbone


@torch.no_grad()
def calibrate(network, **options):
    """Let norms have the statistics of some images, as after a training: no number grows."""
    images = torch.randn(2, 3, 128, 160)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # an average
            # few values are clipped: with random weights, ReLUs make the errors grow by the layer
            module.bias.data = module.weight.data.clone()
    network.train()(images, **options)
    return network.eval()


@pytest.fixture
def calls(monkeypatch, device):
    """A list of the convolutions that the kernels computed."""
    called = []
    compute = LinkedConv.__call__

    def noting(conv, *args, **kwargs):
        called.append(conv)
        return compute(conv, *args, **kwargs)

    monkeypatch.setattr(LinkedConv, '__call__', noting)
    if device.type == 'cpu':
        replace_can_link(monkeypatch, can_interpret)
    return called


def replace_can_link(patch, function):
    for name, module in list(sys.modules.items()):
        if name.startswith('hardnet_mm.deploy.') and hasattr(module, 'can_link'):
            patch.setattr(module, 'can_link', function)


def can_interpret(x, dtype=None):
    return (dtype or x.dtype) in HALVES and (dtype is not None or x.stride(1) == 1)


def assert_linked(deployed, calls):
    """Every block of the backbone was computed by the kernels."""
    stages = [module for module in deployed.modules() if isinstance(module, FusedStage)]
    assert stages and all(stage.linkable for stage in stages if _blocks(stage))
    layers = [layer for stage in stages for block in _blocks(stage) for layer in block.layers]
    weights = {conv.weight.data_ptr() for conv in calls}
    assert layers and {layer.weight.data_ptr() for layer in layers} <= weights


def _blocks(stage):
    return [module for module in stage.modules() if isinstance(module, FusedBlock)]


def unlinked(monkeypatch, model, dtype, images, **options):
    """Return what PyTorch's own convolutions compute, in the same precision."""
    with monkeypatch.context() as patch:
        replace_can_link(patch, lambda *_: False)
        return flat(to_deploy(model, dtype).to(images.device)(images, **options))


def assert_as_exact(found, plain, wanted, dtype):
    """Compare with float32, by the errors of PyTorch's own convolutions in the same precision."""
    for one, other, exact in zip(found, plain, wanted, strict=True):
        assert one.shape == exact.shape and one.dtype == torch.float32
        error, usual = distance(one, exact), distance(other, exact)
        assert error < ALLOWED[dtype]
        assert error < 1.5 * usual + 1e-4


# Each: arguments, and the size of a batch of images, which is 3.
BACKBONES = dict(
    hardnet68=(dict(arch='hardnet68'), (224, 224)),
    odd=(dict(arch='hardnet68'), (97, 131)),
    fchardnet70=(dict(arch='fchardnet70'), (75, 101)),
    dilated=(
        dict(arch='hardnet68', strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
        (65, 90),
    ),
    ceil_mode=(dict(arch='fchardnet70', ceil_mode=True), (75, 101)),
    average=(dict(arch='hardnet68', pool='avg'), (97, 131)),
    ceil_average=(dict(arch='fchardnet70', pool='avg', ceil_mode=True), (75, 101)),
    inner=(dict(arch='fchardnet70', out_indices=('stem0', 'block1', 1)), (97, 66)),
)
INTERPRETED = ('inner',)


@pytest.mark.parametrize('name', BACKBONES)
def test_backbones(device, calls, monkeypatch, name, record_property):
    arguments, size = BACKBONES[name]
    batch, dtypes = 3, HALVES
    if device.type == 'cpu':
        if name not in INTERPRETED:
            pytest.skip('takes a GPU')
        size, batch, dtypes = (41, 34), 1, [torch.float16]  # the interpreter has no bfloat16
    images = torch.randn(batch, 3, *size)
    backbone = calibrate(settle(HarDNet(**arguments)))
    with torch.no_grad():
        wanted = backbone(images)
    for dtype in dtypes:
        deployed = to_deploy(backbone, dtype).to(device)
        del calls[:]
        with torch.inference_mode():
            found = deployed(images.to(device))
            assert_linked(deployed, calls)
            plain = unlinked(monkeypatch, backbone, dtype, images.to(device))
        record_property(f'{dtype}', [distance(*pair) for pair in zip(found, wanted)])
        assert_as_exact(found, plain, wanted, dtype)


@pytest.mark.parametrize('dtype', HALVES)
@pytest.mark.parametrize('name', ['ssd', 'rfb', 'centernet', 'fchardnet', 'mseg'])
def test_systems(device, on_cuda, system, calls, monkeypatch, name, dtype, record_property):
    model, _, batch = system(name)
    images = torch.stack(batch['inputs']).float() / 64 - 2
    images = torch.cat([images, images[:1].flip(-1)])
    calibrate(model, mode='tensor')
    with torch.no_grad():
        wanted = flat(model(images, mode='tensor'))
        deployed = to_deploy(model, dtype).to(device)
        found = flat(deployed(images.to(device), mode='tensor'))
        assert_linked(deployed, calls)
        plain = unlinked(monkeypatch, model, dtype, images.to(device), mode='tensor')
    record_property('errors', [distance(*pair) for pair in zip(found, wanted)])
    assert_as_exact(found, plain, wanted, dtype)


def test_replaced_weights_are_packed_again(device, calls):
    """After a first run, by load_state_dict; and where a model was copied or saved."""
    images = torch.randn(2, 3, 40, 33)
    arguments = dict(arch='fchardnet70', out_indices=(0, 1))
    first = calibrate(settle(HarDNet(**arguments)))
    second = copy.deepcopy(first)
    for parameter in second.parameters():
        parameter.data = parameter.data.flip(0)
    calibrate(second)
    images = images.to(device)
    deployed = to_deploy(first, torch.float16).to(device)
    other = to_deploy(second, torch.float16).to(device)
    with torch.no_grad():
        before = deployed(images)
        copied = copy.deepcopy(deployed)
        wanted = other(images)
        deployed.load_state_dict(other.state_dict())
        del calls[:]
        after = deployed(images)
        assert calls
        for found, one, expected in zip(after, before, wanted):
            assert distance(found, expected) < 1e-3 < 0.3 < distance(found, one)
        for found, one in zip(copied(images), before):
            assert distance(found, one) < 1e-3


class TestGraphedFunction:
    @pytest.fixture
    def graphed(self, device):
        """A graphed function, and a list of its calls."""
        backbone = settle(HarDNet('fchardnet70', out_indices=(0, 1))).eval()
        deployed = to_deploy(backbone, torch.float16 if device.type == 'cuda' else None).to(device)
        called = []

        def function(images, scale=1.0):
            called.append(tuple(images.shape))
            return dict(outputs=deployed(images * scale), scale=scale)

        return GraphedFunction(function, deployed), called

    def test_other_images_and_sizes(self, device, graphed):
        function, called = graphed
        batches = [torch.randn(2, 3, 64, 64, device=device) for _ in range(3)]
        batches.append(torch.randn(1, 3, 48, 65, device=device))
        with torch.no_grad():
            wanted = [function.function(batch) for batch in batches]
            del called[:]
            found = [function(batch) for batch in batches]
            # later calls write to no earlier output
            for one, other in zip(found, wanted):
                assert one['scale'] == other['scale'] == 1.0
                for a, b in zip(one['outputs'], other['outputs'], strict=True):
                    assert a.shape == b.shape and distance(a, b) < 1e-3
            runs = len(called)
            if device.type == 'cuda':
                assert called.count((2, 3, 64, 64)) == called.count((1, 3, 48, 65)) < 4
                function(batches[0])
                assert len(called) == runs  # from the graph
            doubled = function(batches[0], scale=2.0)  # no tensor: another graph
            assert doubled['scale'] == 2.0 and len(called) > runs
            assert distance(doubled['outputs'][0], found[0]['outputs'][0]) > 0.1

    def test_further_sizes_are_not_recorded(self, device):
        called = []

        def function(x):
            called.append(len(x))
            return x + 1

        graphed = GraphedFunction(function, nn.Identity())
        for length in (*range(1, MOST_GRAPHS + 3), 1):
            assert torch.equal(
                graphed(torch.ones(length, device=device)).cpu(), 2 * torch.ones(length)
            )
        assert len(graphed.graphs) == (MOST_GRAPHS if device.type == 'cuda' else 0)
        assert called[-1] == (MOST_GRAPHS + 2 if device.type == 'cuda' else 1)

    def test_replaced_weights_are_used(self, device):
        layer = nn.Linear(3, 3).to(device)
        graphed = GraphedFunction(layer.forward, layer)
        x = torch.ones(2, 3, device=device)
        with torch.no_grad():
            first = graphed(x)
            layer.weight.add_(1.0)
            assert torch.allclose(graphed(x), first + 3, atol=1e-5)

    def test_gradients_pass(self, device):
        graphed = GraphedFunction(torch.square, nn.Identity())
        with torch.no_grad():
            graphed(torch.ones(3, device=device))
        leaf = torch.full((3,), 2.0, device=device, requires_grad=True)
        graphed(leaf).sum().backward()
        assert leaf.grad.tolist() == [4.0] * 3

    def test_a_copy_has_no_graphs(self, device):
        graphed = GraphedFunction(torch.square, nn.Identity())
        graphed(torch.ones(3, device=device))
        assert not copy.deepcopy(graphed).graphs
