import copy

import pytest
import torch
from helpers.exported import filled
from helpers.precision import assert_as_exact
from helpers.stand_in import fill_tensor
from mmengine.config import Config
from torch import nn

from hardnet_mm import HarDNet, create_model
from hardnet_mm.backbones import HarDBlock
from hardnet_mm.deploy import FusedConv, to_deploy
from hardnet_mm.kernels.cpu import winograd
from hardnet_mm.kernels.cpu.buffers import MemoryPool
from hardnet_mm.kernels.cpu.capabilities import has_onednn_convolutions
from hardnet_mm.swap.trial import predict, random_batch
from hardnet_mm.utils.configs import build_model, read_config


def settle(model):
    """Give a model the stand-in weights, whose norms have statistics to fold."""
    state = model.state_dict()
    model.load_state_dict(
        {key: fill_tensor(key, tuple(value.shape)) for key, value in state.items()}
    )
    return model.eval()


def distance(found, wanted):
    return ((found.double() - wanted).abs().max() / wanted.abs().max()).item()


@torch.no_grad()
def assert_same_outputs(deployed, model, images, **kwargs):
    """Compare an inference form's outputs with the model's, by a float64 copy of it."""
    exact = copy.deepcopy(model).double()
    outputs = [flat(m(x, **kwargs)) for m, x in ((deployed, images), (model, images))]
    for found, plain, wanted in zip(*outputs, flat(exact(images.double(), **kwargs))):
        assert_as_exact(found, plain, wanted)


@pytest.mark.parametrize('arch', ['hardnet39ds', 'fchardnet70'])
def test_onednn_computes_every_activation(arch):
    layers = [m for m in to_deploy(HarDNet(arch)).modules() if isinstance(m, FusedConv)]
    assert layers
    for layer in layers:
        assert isinstance(layer.rest, nn.Identity)
        assert isinstance(layer.act, nn.Identity) == (layer.fused_act[0] == 'none')


@pytest.mark.cpu
@pytest.mark.parametrize(
    'arch',
    [
        *('hardnet39ds', 'hardnet68', 'fchardnet70'),
        # the same kinds of blocks, wider
        *(pytest.param(arch, marks=pytest.mark.slow) for arch in ('hardnet68ds', 'hardnet85')),
    ],
)
def test_backbones(arch, monkeypatch):
    monkeypatch.setattr(winograd, 'is_faster', lambda weight, x: True)  # at these sizes too
    backbone = settle(HarDNet(arch))
    state = {key: value.clone() for key, value in backbone.state_dict().items()}
    shapes = {True: (2, 3, 43, 53), False: (1, 3, 32, 32)}
    for channels_last, shape in shapes.items():
        deployed = to_deploy(backbone, channels_last=channels_last)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
        assert_same_outputs(deployed, backbone, torch.randn(shape))
    for key, value in backbone.state_dict().items():  # the model itself is left as it was
        assert torch.equal(value, state[key])


@pytest.mark.cpu
@pytest.mark.parametrize('mode', [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_it_is_made_and_run_in_any_mode(mode):
    """And its weights may be replaced there, by tensors that count no versions."""
    backbone = settle(HarDNet('hardnet39ds', out_indices=(0,)))
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        (wanted,) = backbone(images)
    with mode():
        deployed = to_deploy(backbone)
        made_there = to_deploy(copy.deepcopy(backbone))
        for _ in range(2):
            assert distance(deployed(images)[0], wanted) < 1e-4
    assert distance(deployed(images)[0], wanted) < 1e-4
    assert distance(made_there(images)[0], wanted) < 1e-4
    with torch.inference_mode():
        state = {key: value.clone() for key, value in deployed.state_dict().items()}
        deployed.load_state_dict(state, assign=True)
        assert distance(deployed(images)[0], wanted) < 1e-4
        for parameter in deployed.parameters():
            parameter.zero_()
        assert not deployed(images)[0].any()


@pytest.mark.cpu
def test_it_saves_and_loads(tmp_path):
    first, second = (to_deploy(settle(create_model('hardnet39ds'))) for _ in range(2))
    for parameter in first.parameters():
        parameter.mul_(1.01)
    images = torch.rand(1, 3, 64, 64)
    wanted = first(images)
    assert not torch.equal(second(images), wanted)
    torch.save(first.state_dict(), tmp_path / 'deployed.pth')
    second.load_state_dict(torch.load(tmp_path / 'deployed.pth', weights_only=True))
    assert torch.equal(second(images), wanted)  # the laid out weights of before are not used again


@pytest.mark.cpu
@torch.no_grad()
def test_a_block_without_concatenations(monkeypatch):
    """The features of a dilated block, source by source, and again after its weights changed."""
    block = settle(HarDBlock(20, 6, 1.7, 8, dilation=2))
    fused = to_deploy(nn.Sequential(block))
    x = torch.randn(2, 20, 13, 9)
    joined = []
    concatenate = MemoryPool.concatenate
    monkeypatch.setattr(
        MemoryPool, 'concatenate', lambda pool, x: joined.append(x) or concatenate(pool, x)
    )
    wanted = block(x)
    assert_same_outputs(fused, block, x)
    joins = 1 if has_onednn_convolutions(x.dtype) else 9  # the output alone, or each layer's links
    assert len(joined) == joins
    for layer in fused[0].layers:
        layer.weight.mul_(0.5)
        layer.bias.mul_(0.5)
    assert distance(fused(x), wanted) > 0.1
    for layer in fused[0].layers:
        layer.weight.mul_(2)
        layer.bias.mul_(2)
    assert distance(fused(x), wanted) < 1e-4


@pytest.mark.cpu
@torch.no_grad()
def test_biases_alone_are_changed():
    block = settle(HarDBlock(20, 6, 1.7, 8))
    fused = to_deploy(nn.Sequential(block))
    x = torch.randn(1, 20, 13, 9)
    before = fused(x)
    for layer in fused[0].layers:
        layer.bias.add_(1)
    wanted = copy.deepcopy(fused)(x)  # nothing is laid out in a copy
    assert distance(before, wanted) > 0.1
    assert torch.equal(fused(x), wanted)


def test_what_else_it_folds():
    model = settle(build_model(read_config('mmpretrain::resnet/resnet18_8xb32_in1k.py')))
    deployed = to_deploy(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    assert_same_outputs(deployed, model, torch.rand(1, 3, 64, 64), mode='tensor')


def test_what_it_leaves_alone():
    """A norm that is not after its convolution, as PIDNet's and DDRNet's, or is no BatchNorm."""
    name = 'mmseg::pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py'
    model = settle(build_model(read_config(name)))
    deployed = to_deploy(model)
    images = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        found, wanted = (
            m.encode_decode(images, [dict(img_shape=(128, 128))]) for m in (deployed, model)
        )
    # random weights make much of rounding, and a lost norm makes more
    assert distance(found, wanted) < 1e-2

    backbone = HarDNet('hardnet39ds', norm_cfg=dict(type='GN', num_groups=2)).eval()
    deployed = to_deploy(backbone)
    for kind in (nn.GroupNorm, nn.ReLU6):
        found, wanted = (
            sum(isinstance(m, kind) for m in each.modules()) for each in (deployed, backbone)
        )
        assert found == wanted > 0
    assert_same_outputs(deployed, backbone, images)


def test_weights_that_are_computed_stay_so():
    conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))
    hooked = nn.Conv2d(4, 4, 3)
    hooked.register_forward_hook(lambda module, inputs, output: output + 1)
    model = nn.Sequential(conv, hooked, nn.Conv2d(4, 4, 3)).eval()
    deployed = to_deploy(model)
    assert [isinstance(module, FusedConv) for module in deployed] == [False, False, True]
    assert_same_outputs(deployed, model, torch.rand(1, 3, 16, 16))


@pytest.mark.cpu
@pytest.mark.parametrize(
    'name', ['ssd_hardnet', 'rfb_hardnet', 'centernet_hardnet', 'fchardnet70', 'mseg_hardnet']
)
def test_predictions_stay(root, name):
    cfg = Config.fromfile(root / f'configs/digits/{name}_digits.py')
    model = filled(build_model(cfg))
    results = []
    for each in (model, to_deploy(model)):
        torch.manual_seed(1)
        results.append(predict(each, cfg))
    for found, wanted in zip(*reversed(results)):
        if cfg.default_scope == 'mmseg':
            assert distance(found.seg_logits.data, wanted.seg_logits.data) < 1e-4
        else:
            found, wanted = found.pred_instances, wanted.pred_instances
            assert len(found) == len(wanted) > 0
            torch.testing.assert_close(found.scores, wanted.scores, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found.bboxes, wanted.bboxes, rtol=1e-3, atol=1e-2)


@pytest.mark.cpu
@pytest.mark.parametrize(
    'name',
    ['ssd_hardnet', 'rfb_hardnet', 'centernet_hardnet', 'fchardnet70', 'hardnet39ds'],
)
def test_bfloat16_is_close(root, name):
    """Inputs and outputs are float32; only what is between is not."""
    cfg = Config.fromfile(root / f'configs/digits/{name}_digits.py')
    model = settle(build_model(cfg))
    deployed = to_deploy(model, torch.bfloat16)
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        found, wanted = (flat(each(images, mode='tensor')) for each in (deployed, model))
    for a, b in zip(found, wanted):
        assert a.dtype == torch.float32 and distance(a, b) < 0.05
    predict(deployed, cfg)


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in flat(output)]


def test_a_two_stage_detector_computes_its_heads_in_float32():
    cfg = read_config('hardnet_mm::toolbox_models/faster-rcnn_hardnet68_fpn_1x_coco.py')
    deployed = to_deploy(build_model(cfg), torch.bfloat16)
    assert deployed.backbone.stem[0].weight.dtype == deployed.neck.lateral_convs[0].weight.dtype
    assert deployed.rpn_head.rpn_conv.weight.dtype == torch.float32
    assert len(predict(deployed, cfg)) == len(random_batch(cfg)['inputs'])


def test_it_refuses_other_types():
    with pytest.raises(ValueError, match='dtype must be one of'):
        to_deploy(HarDNet('hardnet39ds'), torch.int8)


def test_a_compiler_sees_plain_convolutions():
    traced = torch.jit.trace(
        to_deploy(settle(HarDNet('hardnet39ds', out_indices=(1,)))), torch.rand(1, 3, 64, 64)
    )
    assert 'mkldnn' not in str(traced.inlined_graph)
    one = torch.jit.trace(FusedConv(nn.Conv2d(3, 4, 3)), torch.rand(1, 3, 9, 9))
    kinds = [node.kind() for node in one.inlined_graph.nodes() if node.kind().startswith('aten')]
    assert kinds == ['aten::_convolution']  # no conversion of what has the type already


@pytest.mark.parametrize('channels_last', [True, False])
@pytest.mark.parametrize('dtype', [None, torch.float32])
def test_a_traced_network_names_no_device(dtype, channels_last):
    """A file that was written on a CPU is loaded onto a GPU."""
    deployed = to_deploy(HarDNet('hardnet39ds', out_indices=(0,)), dtype, channels_last)
    traced = torch.jit.trace(deployed, torch.rand(1, 3, 32, 32), check_trace=False)
    assert 'Device' not in str(traced.inlined_graph)
