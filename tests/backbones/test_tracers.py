"""Compilers, exporters, tracers and transforms see a backbone's plain operations.

What saves memory in training either works under them, or is left to them.
"""

import copy

import pytest
import torch
from mmengine.utils import digit_version
from torch import nn
from torch.autograd import forward_ad
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from hardnet_mm import HarDNet
from hardnet_mm.backbones.architectures import ARCHITECTURES

TINY = dict(
    stem_channels=(4, 8),
    growth_multiplier=1.6,
    growth_rates=(4,),
    num_layers=(2,),
    transition_channels=(8,),
    downsample=(1,),
)
AIDS = {
    'plain': {},
    'memory_efficient': dict(memory_efficient=True),
    'with_cp': dict(with_cp=True),
    'both': dict(memory_efficient=True, with_cp=True),
}
all_aids = pytest.mark.parametrize('aids', AIDS)
# PyTorch 2.1 calls the hooks of the module that is compiled outside of the graph.
FULL_GRAPH = digit_version(torch.__version__) >= digit_version('2.2')
# That of 2.1 has neither strict nor free sizes. That of 2.5 differentiates no module whose
# statistics it updates, and takes fewer sizes for free.
exports = pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.6'),
    reason='torch.export of this PyTorch does less',
)


def build(aids, training=False):
    torch.manual_seed(0)
    backbone = HarDNet(TINY, out_indices=('stem0', 'block0', 0), **AIDS[aids]).double()
    for norm in backbone.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 4)  # so that ReLU6 has something to cut off
    return backbone.train(training)


def images(batch=2, height=40, width=36):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 3, height, width, dtype=torch.float64, generator=generator)


def loss(outputs):
    return sum(output.sin().sum() for output in outputs)


def step(backbone, parameters=None):
    """Return the outputs and the gradients."""
    outputs = backbone(images())
    gradients = torch.autograd.grad(loss(outputs), list((parameters or backbone).parameters()))
    return [*outputs, *gradients]


@pytest.fixture(scope='module')
def wanted():
    """Return {training: the plain backbone's outputs and gradients}."""
    return {training: step(build('plain', training)) for training in (False, True)}


@all_aids
@pytest.mark.parametrize(
    'backend',
    ['eager', *(pytest.param(name, marks=pytest.mark.slow) for name in ('aot_eager', 'inductor'))],
)
def test_compiled(wanted, aids, backend):
    torch._dynamo.reset()
    backbone = build(aids, training=True)
    found = step(torch.compile(backbone, backend=backend, fullgraph=FULL_GRAPH), backbone)
    torch.testing.assert_close(found, wanted[True])


@exports
@all_aids
@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('strict', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_exported(wanted, aids, training, strict):
    backbone = build(aids, training)
    program = torch.export.export(backbone, (images(),), strict=strict)
    module = program.module()
    found = module(images())
    torch.testing.assert_close(list(found), wanted[training][: len(found)])
    by_name = dict(module.named_parameters())
    parameters = [by_name[name] for name, _ in backbone.named_parameters()]
    gradients = torch.autograd.grad(loss(module(images())), parameters)
    torch.testing.assert_close(list(gradients), wanted[training][len(found) :])


@exports
@pytest.mark.parametrize(
    'arch, out_indices',
    [(TINY, (0,)), pytest.param('hardnet39ds', (0, 'block1'), marks=pytest.mark.slow)],
)
def test_exported_for_any_batch_and_size(arch, out_indices):
    backbone = HarDNet(arch, out_indices=out_indices).eval().double()
    sizes = {2: torch.export.Dim('height', min=32), 3: torch.export.Dim('width', min=32)}
    shapes = {0: torch.export.Dim('batch'), **sizes}
    module = torch.export.export(backbone, (images(),), dynamic_shapes=(shapes,)).module()
    with torch.no_grad():
        for shape in ((1, 64, 32), (3, 47, 65)):
            torch.testing.assert_close(module(images(*shape)), backbone(images(*shape)))


def test_onnx_by_the_exporter_of_today(tmp_path):
    pytest.importorskip('onnxscript')
    backbone, path = build('both'), tmp_path / 'backbone.onnx'
    torch.onnx.export(backbone.float(), (images().float(),), path, dynamo=True)
    session = pytest.importorskip('onnxruntime').InferenceSession(path)
    (name,) = (given.name for given in session.get_inputs())
    found = session.run(None, {name: images().float().numpy()})
    for a, b in zip(found, backbone(images().float())):
        torch.testing.assert_close(torch.from_numpy(a), b, rtol=1e-3, atol=1e-4)


@all_aids
@pytest.mark.parametrize('training', [False, True])
def test_traced_by_jit(wanted, aids, training):
    backbone = build(aids, training)
    traced = torch.jit.trace(copy.deepcopy(backbone), images(), check_trace=False)
    assert 'Python' not in str(traced.inlined_graph)
    torch.testing.assert_close(step(traced), wanted[training])


@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_traced_by_fx(arch):
    if arch == 'fchardnet70_paddle' and digit_version(torch.__version__) < digit_version('2.2'):
        pytest.skip("PyTorch's pad takes no size that torch.fx stands for before 2.2")
    backbone = HarDNet(arch).eval()
    graph, image = torch.fx.symbolic_trace(backbone), images(1, 64, 96).float()
    with torch.no_grad():
        torch.testing.assert_close(graph(image), backbone(image))


@all_aids
@pytest.mark.parametrize('training', [False, True])
def test_a_graph_of_fx_trains(wanted, aids, training):
    graph = torch.fx.symbolic_trace(build(aids, training))
    backbone = build(aids, training)
    found = dict(zip((name for name, _ in graph.named_parameters()), step(graph)[3:]))
    gradients = [found[name] for name, _ in backbone.named_parameters()]
    torch.testing.assert_close(gradients, wanted[training][3:])


def test_torchvision_extracts_features():
    backbone = HarDNet('hardnet68').eval()
    assert 'stages.3.transition0.activate' in ' '.join(get_graph_node_names(backbone)[1])
    nodes = {'stem': 'stem', 'stages.1': 'stage', 'stages.3.block0': 'block'}
    extract, seen = create_feature_extractor(backbone, nodes), {}
    for path, name in nodes.items():
        backbone.get_submodule(path).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output})
        )
    with torch.no_grad():
        image = images(1, 64, 64).float()
        backbone(image)
        torch.testing.assert_close(extract(image), seen)


def test_quantized_as_a_graph():
    quantize_fx = pytest.importorskip('torch.ao.quantization.quantize_fx')
    engines = torch.backends.quantized.supported_engines
    engine = next((name for name in ('x86', 'fbgemm', 'qnnpack') if name in engines), None)
    if engine is None:
        pytest.skip('this PyTorch has no quantized operations')
    torch.manual_seed(0)
    backbone, image = HarDNet('hardnet68', out_indices=(0,)).eval(), torch.rand(2, 3, 64, 64)
    mapping = torch.ao.quantization.get_default_qconfig_mapping(engine)
    prepared = quantize_fx.prepare_fx(copy.deepcopy(backbone), mapping, (image,))
    with torch.no_grad():
        prepared(image)
        (found,), (wanted,) = quantize_fx.convert_fx(prepared)(image), backbone(image)
    assert (found - wanted).norm() < 0.2 * wanted.norm()


def functional(backbone, image):
    """Return parameters, and a function of them and an image to a number.

    In evaluation mode: PyTorch lets no BatchNorm update its statistics under a transform.
    """
    parameters = {name: p.detach() for name, p in backbone.named_parameters()}
    return parameters, lambda parameters, image=image: loss(
        torch.func.functional_call(backbone, parameters, (image,))
    )


@all_aids
def test_functional_gradient(wanted, aids):
    parameters, function = functional(build(aids), images())
    gradients = torch.func.grad(function)(parameters)
    torch.testing.assert_close(list(gradients.values()), wanted[False][3:])


@all_aids
def test_gradients_of_each_sample(wanted, aids):
    """Of a batch at once, as differential privacy needs them."""
    parameters, function = functional(build(aids), None)
    each = torch.func.vmap(torch.func.grad(function), in_dims=(None, 0))(
        parameters, images()[:, None]
    )
    found = [gradient.sum(dim=0) for gradient in each.values()]
    torch.testing.assert_close(found, wanted[False][3:])


@all_aids
def test_forward_mode_and_second_derivatives(aids):
    backbone, name = build(aids), 'stem.0.bn.bias'
    parameters, function = functional(backbone, images())

    def of_bias(bias):
        return function({**parameters, name: bias})

    bias, direction = parameters[name], torch.arange(4.0, dtype=torch.float64)
    (gradient,) = torch.autograd.functional.jacobian(of_bias, (bias,))
    _, slope = torch.func.jvp(of_bias, (bias,), (direction,))
    torch.testing.assert_close(slope, gradient @ direction)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(images(), images())
        slope = forward_ad.unpack_dual(loss(backbone(dual))).tangent
    image = images().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(build('plain')(image)), image)
    torch.testing.assert_close(slope, (gradient * images()).sum())
    hessian = torch.func.hessian(of_bias)(bias)
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(of_bias, bias))


@all_aids
def test_vectorized(wanted, aids):
    found = torch.func.vmap(build(aids))(images()[:, None])
    found = [output.flatten(0, 1) for output in found]
    torch.testing.assert_close(found, wanted[False][: len(found)])
