"""Predictions on a GPU, beside those of the CPU, in every form."""

import copy

import pytest
import torch
from helpers.systems import SYSTEMS, predict, values
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope

from hardnet_mm.deploy import to_deploy
from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.export.formats.torchscript import TorchScript

pytestmark = pytest.mark.cuda


def assert_same(found, wanted):
    """Compare predictions; of boxes, those whose scores do not tie, wherever they stand."""
    for one, other in zip(found, wanted):
        one, other = values(one), values(other)
        if 'boxes' not in other:
            atol = 1e-4 * max(1.0, other['scores'].abs().max().item())
            torch.testing.assert_close(one['scores'], other['scores'], rtol=1e-3, atol=atol)
            continue
        assert len(other['scores']) > 0
        assert abs(len(one['scores']) - len(other['scores'])) <= 2
        matched = matches(one, other)
        assert matched >= 0.98, f'{matched:.3f} of the boxes are found'


def matches(one, other, score=1e-3, pixels=0.1):
    """Return the share of boxes that another prediction has too, with their scores and labels."""
    near = (one['boxes'][:, None] - other['boxes']).abs().amax(dim=2) < pixels
    near &= (one['scores'][:, None] - other['scores']).abs() < score
    near &= one['labels'][:, None] == other['labels']
    return near.any(dim=0).float().mean().item()


def relative(found, wanted):
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


def raw(model, images):
    """Return the network's outputs, float32 on the CPU."""
    with torch.no_grad():
        outputs = model(images, mode='tensor')
    return [tensor.float().cpu() for tensor in flat(outputs)]


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in flat(output)]


@pytest.mark.parametrize('form', ['plain', 'channels-last', 'to_deploy'])
@pytest.mark.parametrize('name', SYSTEMS)
def test_predictions_are_those_of_the_cpu(device, system, name, form):
    model, cfg, batch = system(name)
    wanted = predict(model, cfg, batch)
    if form == 'to_deploy':
        model = to_deploy(model)
    model.to(device)
    if form == 'channels-last':
        model.to(memory_format=torch.channels_last)
    assert_same(predict(model, cfg, batch), wanted)


@pytest.mark.parametrize('name', ['ssd', 'centernet', 'fchardnet'])
def test_time_augmentation(device, system, name):
    model, cfg, batch = system(name)
    tta = dict(TTA[name])
    views = augmented(batch)
    results = []
    for where in ('cpu', device):
        with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.no_grad():
            wrapped = MODELS.build({**tta, 'module': copy.deepcopy(model).to(where)}).eval()
            results.append([sample.cpu() for sample in wrapped.test_step(copy.deepcopy(views))])
    assert_same(results[1], results[0])


TTA = dict(
    ssd=dict(
        type='DetTTAModel',
        tta_cfg=ConfigDict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
    ),
    centernet=dict(type='CTFlipTTAModel'),
    fchardnet=dict(type='LogitSegTTAModel'),
)


def augmented(batch):
    """Return an image of a batch and its mirror image, as test-time augmentation gives them."""
    image, sample = batch['inputs'][0], batch['data_samples'][0]
    mirrored = copy.deepcopy(sample)
    sample.set_metainfo(dict(flip=False, flip_direction=None, img_path='image'))
    mirrored.set_metainfo(dict(flip=True, flip_direction='horizontal', img_path='image'))
    return dict(inputs=[[image], [image.flip(-1)]], data_samples=[[sample], [mirrored]])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', SYSTEMS)
def test_deployed_in_16_bits(device, system, name, dtype, record_property):
    """Moved after it was made and before: both work, and predict."""
    if device.type == 'cpu' and dtype == torch.float16:
        pytest.skip('float16 is for GPUs')
    model, cfg, batch = system(name)
    with torch.no_grad():
        images = model.data_preprocessor(copy.deepcopy(batch), False)['inputs']
    wanted = raw(model, images)
    # random weights make errors grow by the layer; test_linked_kernels.py looks closer
    allowed = {torch.float32: 1e-4, torch.float16: 0.06, torch.bfloat16: 0.3}[dtype]
    before = to_deploy(copy.deepcopy(model).to(device), dtype)
    for deployed in (before, to_deploy(model, dtype).to(device)):
        errors = [relative(*pair) for pair in zip(raw(deployed, images.to(device)), wanted)]
        record_property('errors', [round(error, 6) for error in errors])
        assert max(errors) < allowed
    assert len(predict(before, cfg, batch)) == 2


@pytest.mark.parametrize('name', SYSTEMS)
def test_cuda_graph(device, system, on_cuda, name):
    """A captured network, on other images."""
    model, cfg, batch = system(name)
    images = model.data_preprocessor(copy.deepcopy(batch), False)['inputs'].to(device)
    deployed = to_deploy(model.to(device), torch.float16)
    static = torch.zeros_like(images)
    with torch.no_grad():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                deployed(static, mode='tensor')
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = flat(deployed(static, mode='tensor'))
        static.copy_(images)
        graph.replay()
        torch.cuda.synchronize()
        for found, wanted in zip(outputs, raw(deployed, images)):
            assert relative(found.float().cpu(), wanted) < 1e-2


@pytest.mark.parametrize('name', ['classifier', 'ssd', 'centernet', 'fchardnet'])
def test_torchscript_written_on_a_cpu_runs(device, system, name, tmp_path):
    """The network's file, loaded onto the device."""
    model, cfg, batch = system(name)
    inside = 'decode' if name == 'centernet' else 'network'  # mmdet's priors name their device
    end_to_end = build_end_to_end(to_deploy(model, channels_last=False), inside).eval()
    images = torch.stack(batch['inputs']).float()
    TorchScript.convert(end_to_end, images[:1], tmp_path / 'model.pt')
    with torch.no_grad():
        wanted = end_to_end(images[:1])
        loaded = torch.jit.load(str(tmp_path / 'model.pt'), map_location=device)
        for found, other in zip(loaded(images[:1].to(device)), wanted):
            assert found.device.type == device.type
            if other.is_floating_point():
                assert relative(found.cpu(), other) < 1e-3
