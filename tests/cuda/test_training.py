"""Training steps on a GPU, beside those of the CPU."""

import copy
import warnings
from pathlib import Path

import pytest
import torch
from helpers.systems import SYSTEMS, gradients, loss_of
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import DefaultScope

import hardnet_mm

pytestmark = pytest.mark.cuda
BIT_16 = [torch.float16, torch.bfloat16]


def step(model, cfg, batch):
    """Return the loss and the gradients of a training step, float64 on the CPU."""
    loss = loss_of(model.train(), cfg, batch)
    loss.backward()
    return loss.item(), gradients(model)


def in_float64(model):
    model.double()
    model.backbone.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    return model


def distance(found, wanted):
    """Return the length of the difference of two vectors, as a share of the second one's."""
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('name', SYSTEMS)
def test_a_step_is_that_of_the_cpu(device, system, name, layout, record_property):
    """In float64, where norms over few positions make little of rounding; in float32, about."""
    model, cfg, batch = system(name)
    on_cpu = step(in_float64(copy.deepcopy(model)), cfg, batch)
    there = in_float64(copy.deepcopy(model)).to(device, memory_format=layout)
    exact = step(there, cfg, batch)
    on_device = step(copy.deepcopy(model).to(device, memory_format=layout), cfg, batch)
    errors = [distance(gradient, on_cpu[1]) for _, gradient in (exact, on_device)]
    record_property('errors of gradients, float64 and float32', errors)
    # targets are float32
    assert exact[0] == pytest.approx(on_cpu[0], rel=1e-5)
    assert errors[0] < 1e-4
    assert on_device[0] == pytest.approx(on_cpu[0], rel=1e-3)
    assert errors[1] < 0.5


@pytest.mark.parametrize('name', SYSTEMS)
def test_recomputation_changes_no_gradient(device, system, name, record_property):
    results = {}
    for way in ('plain', 'memory_efficient', 'with_cp'):
        options = {} if way == 'plain' else {f'model__backbone__{way}': True}
        model, cfg, batch = system(name, **options)
        model.to(device)
        if device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        results[way] = step(model, cfg, batch)
        if device.type == 'cuda':
            peak = (torch.cuda.max_memory_allocated() - before) / 2**20
            record_property(f'{way}, peak MiB', round(peak, 1))
    loss, gradient = results.pop('plain')
    for found_loss, found in results.values():
        assert found_loss == pytest.approx(loss, rel=1e-5)
        assert distance(found, gradient) < 0.01


@pytest.mark.parametrize('dtype', BIT_16)
@pytest.mark.parametrize('name', SYSTEMS)
def test_amp(device, system, on_cuda, name, dtype, record_property):
    """mmengine's wrapper: near float32's loss, finite gradients, a step that moves the weights."""
    model, cfg, batch = system(name)
    wanted, _ = step(copy.deepcopy(model).to(device), cfg, batch)
    model.to(device, memory_format=torch.channels_last).train()
    wrapper = AmpOptimWrapper(
        loss_scale=dict(init_scale=128.0),
        dtype=str(dtype).partition('.')[2],
        optimizer=torch.optim.SGD(model.parameters(), lr=1e-3),
    )
    before = model.backbone.stem[0].conv.weight.detach().clone()
    with wrapper.optim_context(model):
        loss = loss_of(model, cfg, batch)
    wrapper.update_params(loss)
    record_property('loss, float32 and 16 bits', (wanted, loss.item()))
    assert loss.item() == pytest.approx(wanted, rel=0.1 if dtype == torch.float16 else 0.2)
    assert wrapper.loss_scaler.get_scale() == 128  # no gradient was infinite
    assert not torch.equal(before, model.backbone.stem[0].conv.weight)


@pytest.mark.parametrize('name', ['classifier', 'depthwise'])
def test_frozen_stages(device, system, name):
    model, cfg, batch = system(name, model__backbone__frozen_stages=2)
    model.to(device).train()
    before = copy.deepcopy(model.state_dict())
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1))
    wrapper.update_params(loss_of(model, cfg, batch))
    moved = {
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    frozen = ('backbone.stem', 'backbone.stages.0', 'backbone.stages.1')
    assert not [key for key in moved if key.startswith(frozen)]
    assert [key for key in moved if key.startswith('backbone.stages.2')]


# What the toolboxes' own code waits for is allowed; of ours, CenterNet's targets do once.
WAITS = dict(centernet={'det/centernet_targets.py': 1})


@pytest.mark.parametrize('name', SYSTEMS)
def test_a_step_does_not_wait(device, system, on_cuda, name, record_property):
    model, cfg, batch = system(name)
    model.to(device).train()
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        loss_of(model, cfg, batch).backward()  # what is made once is there
        torch.cuda.synchronize()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            torch.cuda.set_sync_debug_mode('warn')
            try:
                model.parse_losses(model(**data, mode='loss'))[0].backward()
            finally:
                torch.cuda.set_sync_debug_mode('default')
    waits = [one for one in said if 'synchronizing CUDA operation' in str(one.message)]
    places = [Path(one.filename) for one in waits]
    record_property('waits', [f'{place}:{one.lineno}' for place, one in zip(places, waits)])
    package = Path(hardnet_mm.__file__).parent
    own = [str(place.relative_to(package)) for place in places if package in place.parents]
    assert {place: own.count(place) for place in own} == WAITS.get(name, {})
    if name in ('classifier', 'depthwise'):
        assert not waits


@pytest.mark.parametrize('dynamic', [False, True])
def test_compiled_backbone(device, on_cuda, dynamic):
    """By inductor: outputs and gradients."""
    arch = 'hardnet39ds' if dynamic else 'fchardnet70'
    plain = hardnet_mm.HarDNet(arch, out_indices=(0,)).to(device).eval()
    compiled = torch.compile(copy.deepcopy(plain), dynamic=dynamic)
    images = torch.randn(2, 3, 96, 96, device=device)
    results = []
    for network in (plain, compiled):
        leaf = images.clone().requires_grad_()
        outputs = network(leaf)
        sum(output.square().mean() for output in outputs).backward()
        results.append((outputs[-1].detach(), leaf.grad))
    for found, wanted in zip(*reversed(results)):
        assert distance(found.double(), wanted.double()) < 1e-3
