from contextlib import nullcontext

import pytest
import torch
from mmcv.cnn import ConvModule

from hardnet_mm import HarDNet
from hardnet_mm.backbones import memory
from hardnet_mm.backbones.memory import (
    RecomputeFeatures,
    concatenate,
    remember,
    remember_activations,
)


@pytest.mark.parametrize('arch', ['hardnet39ds', 'hardnet68', 'fchardnet70'])
@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_stay(arch, autocast, with_cp):
    torch.manual_seed(0)
    # in float32, so deep a network in training makes per cent of another order of summation
    images = torch.rand(2, 3, 64, 64, dtype=torch.float32 if autocast else torch.float64)
    plain = HarDNet(arch)
    saving = HarDNet(arch, memory_efficient=True, with_cp=with_cp)
    saving.load_state_dict(plain.state_dict())
    gradients = []
    for backbone in (plain, saving):
        backbone.to(images.dtype)
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            sum(output.square().mean() for output in backbone(images)).backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    rtol, atol = (1e-4, 1e-6) if autocast else (1e-7, 1e-10)
    torch.testing.assert_close(*gradients, rtol=rtol, atol=atol)


def test_no_concatenation_is_kept():
    features = [torch.rand(1, 4, 8, 8, requires_grad=True) for _ in range(2)]
    weight = torch.rand(2, 8, 3, 3, requires_grad=True)
    kept = []
    for context in (RecomputeFeatures(), nullcontext()):
        with context:
            whole = concatenate(features)
            output = torch.nn.functional.conv2d(whole, weight)
        saved = output.grad_fn._saved_input  # unpacked, if it was packed
        assert torch.equal(saved, whole)
        kept.append(saved.data_ptr() == whole.data_ptr())
    assert kept == [False, True]


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('act', ['ReLU', 'ReLU6', 'InPlaceReLU6', None])
def test_no_activation_is_kept(training, act):
    layer = ConvModule(
        3, 4, 3, norm_cfg=dict(type='BN'), act_cfg=None if act is None else dict(type=act)
    ).train(training)
    remember_activations(layer)
    weight = torch.rand(2, 4, 3, 3, requires_grad=True)
    images = torch.randn(2, 3, 9, 9)
    layer(images)  # so that the running statistics differ from the batch's and from nought
    with RecomputeFeatures():
        feature = layer(images)
        output = torch.nn.functional.conv2d(feature, weight)
    statistics = layer.norm.running_mean.clone()
    saved = output.grad_fn._saved_input
    assert torch.equal(saved, feature) and saved.data_ptr() != feature.data_ptr()
    output.sum().backward()
    assert torch.equal(layer.norm.running_mean, statistics)  # not moved a second time


def test_of_a_stem_convolution_outputs_alone_are_kept(monkeypatch):
    packed, pack = [], memory._pack
    monkeypatch.setattr(memory, '_pack', lambda x: packed.append(pack(x)) or packed[-1])
    backbone = HarDNet('hardnet68', out_indices=(0,), memory_efficient=True)
    made = []
    for layer in backbone.stem:
        layer.conv.register_forward_hook(lambda *args: made.append(args[-1].data_ptr()))
    backbone(torch.rand(1, 3, 64, 64))[0].sum().backward()
    kept = {x.data_ptr() for x in packed if torch.is_tensor(x) and x.shape[-2:] == (32, 32)}
    assert kept == set(made)


def test_a_feature_is_made_once_for_all_that_saved_it():
    made = []
    feature = torch.rand(1, 4, 8, 8, requires_grad=True).clone()
    weight = torch.rand(2, 4, 3, 3, requires_grad=True)
    with RecomputeFeatures():
        remember(feature, lambda x: made.append(0) or x.clone(), feature)
        outputs = [torch.nn.functional.conv2d(feature, weight) for _ in range(3)]
    sum(output.sum() for output in outputs).backward(retain_graph=True)
    assert len(made) == 1
    sum(output.sum() for output in outputs).backward()  # again, and still right
    assert len(made) > 1


def test_an_address_that_is_used_again_is_another_tensor():
    """A concatenation that nobody saved is freed, and its memory may come back in its shape."""
    weight = torch.rand(2, 8, 3, 3, requires_grad=True)
    with RecomputeFeatures():
        address = concatenate([torch.zeros(1, 4, 64, 64)] * 2).data_ptr()
        others = []
        while len(others) < 50 and not (others and others[-1].data_ptr() == address):
            others.append(torch.rand(1, 8, 64, 64))
        torch.nn.functional.conv2d(others[-1], weight).sum().backward()
    (wanted,) = torch.autograd.grad(torch.nn.functional.conv2d(others[-1], weight).sum(), weight)
    torch.testing.assert_close(weight.grad, wanted)
