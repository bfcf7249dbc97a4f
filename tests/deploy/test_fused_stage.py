import copy
import pickle

import pytest
import torch
from helpers.exported import filled
from helpers.precision import assert_as_exact

from hardnet_mm import HarDNet
from hardnet_mm.deploy import fused_block, fused_stage, to_deploy
from hardnet_mm.deploy.cuda_graphs import GraphedFunction
from hardnet_mm.deploy.fused_block import FusedBlock
from hardnet_mm.deploy.fused_stage import FusedStage, FusedStem
from hardnet_mm.deploy.linked import can_link

# Few channels, since an interpreter computes them on a CPU.
ARCH = dict(
    stem_channels=(16, 24),
    growth_multiplier=1.7,
    growth_rates=(6, 8, 8),
    num_layers=(3, 2, 4),
    transition_channels=(32, 40, 48),
    downsample=(1, 0, 0),
)
VARIANTS = {
    'as it is': dict(),
    'outputs before transitions': dict(out_indices=('stem0', 'stem1', 'block0', 'block1')),
    'dilated, averages': dict(dilations=(1, 2), pool='avg', ceil_mode=True),
    'no pool in the stem': dict(arch=dict(ARCH, stem_pool=False, stem_strides=(2, 2), act='ReLU')),
}


@pytest.fixture(scope='session')
def device():
    pytest.importorskip('triton.tools.tensor_descriptor', reason='no Triton of 2025 or later')
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def linked_outputs(backbone, images):
    """Compute a deployed backbone's outputs by the kernels, on whatever device it is."""
    outputs = {}
    store = outputs.__setitem__
    x = backbone.stem.linked_forward(images, store)
    for index, stage in enumerate(backbone.stages):
        x = stage.linked_forward(x, store)
        store(index, x)
    return [outputs[index] for index in backbone.out_indices]


@pytest.mark.parametrize('name', VARIANTS)
@torch.no_grad()
def test_the_kernels_compute_the_same(device, name):
    settings = {'arch': ARCH, 'out_indices': (0, 1), **VARIANTS[name]}
    backbone = filled(HarDNet(**settings)).eval()
    images = torch.rand(1, 3, 34, 33)
    exact = copy.deepcopy(backbone).double()(images.double())
    deployed = to_deploy(backbone, torch.float16).to(device)
    stages = [deployed.stem, *deployed.stages]
    assert [type(stage) for stage in stages] == [FusedStem] + [FusedStage] * (len(stages) - 1)
    assert all(stage.linkable for stage in stages)
    plain = copy.deepcopy(backbone).to(torch.float16)(images.half())
    for found, rounded, wanted in zip(linked_outputs(deployed, images.to(device)), plain, exact):
        assert_as_exact(found.cpu(), rounded, wanted)


@torch.no_grad()
def test_other_weights_are_packed_anew(device):
    backbone = filled(HarDNet(dict(ARCH, num_layers=(1, 1, 1)), out_indices=(0,))).eval()
    images = torch.rand(1, 3, 32, 32).to(device)
    deployed = to_deploy(backbone, torch.float16).to(device)
    (before,) = linked_outputs(deployed, images)
    for weight in deployed.parameters():
        weight.mul_(0.5)
    (after,) = linked_outputs(deployed, images)
    assert not torch.equal(before, after)
    (again,) = linked_outputs(pickle.loads(pickle.dumps(deployed)), images)
    torch.testing.assert_close(again, after, rtol=0, atol=0)


@pytest.mark.parametrize(
    'settings, linkable',
    [
        (dict(arch='hardnet68'), True),
        (dict(arch='hardnet85', dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1)), True),
        (dict(arch='hardnet39ds'), False),  # depthwise
        (dict(arch='hardnet68', act_cfg=dict(type='SiLU')), False),
        (dict(arch='fchardnet70', norm_cfg=dict(type='GN', num_groups=2)), False),
    ],
)
def test_what_the_kernels_compute(settings, linkable):
    deployed = to_deploy(HarDNet(**settings, out_indices=(0, 1, 2)), torch.float16)
    found = {stage.linkable for stage in deployed.stages}
    assert found == {linkable}


@torch.no_grad()
def test_kernels_that_fail_give_way(monkeypatch):
    """A compiler that refuses costs speed, and a warning; the values stay."""
    backbone = filled(HarDNet(dict(ARCH, num_layers=(1, 1, 1)), out_indices=(0, 'block1'))).eval()
    deployed = to_deploy(backbone)
    images = torch.rand(1, 3, 32, 32)

    def refuse(*args):
        raise ValueError('no such kernel')

    for module in (fused_stage, fused_block):
        monkeypatch.setattr(module, 'can_link', lambda *args: True)
    for kind in (FusedStem, FusedStage, FusedBlock):
        monkeypatch.setattr(kind, 'linked_forward', refuse)
    with pytest.warns(UserWarning, match='FusedStage is computed by .*no such kernel'):
        found = deployed(images)
    torch.testing.assert_close(found, backbone(images), rtol=1e-4, atol=1e-4)
    assert not any(stage.linkable for stage in (deployed.stem, *deployed.stages))


@pytest.mark.slow
@pytest.mark.parametrize('arch', ['hardnet68', 'hardnet85', 'fchardnet70'])
@torch.no_grad()
def test_published_variants(device, arch):
    backbone = filled(HarDNet(arch)).eval()
    images = torch.rand(1, 3, 33, 64)
    exact = copy.deepcopy(backbone).double()(images.double())
    deployed = to_deploy(backbone, torch.float16).to(device)
    for found, wanted in zip(linked_outputs(deployed, images.to(device)), exact):
        error = (found.double().cpu() - wanted).norm() / wanted.norm()
        assert error < 3e-3


def test_a_cpu_takes_neither_kernels_nor_graphs():
    x = torch.rand(1, 3, 4, 4).half()
    assert not can_link(x) and not can_link(x, torch.float16)
    module = torch.nn.Conv2d(3, 3, 1)
    function = GraphedFunction(module.forward, module)
    images = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(copy.deepcopy(function)(images), module(images))
    assert not function.graphs
