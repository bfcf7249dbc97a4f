"""What the tests of exports share."""

import copy
import importlib

import pytest
import torch

from hardnet_mm.deploy import to_deploy
from hardnet_mm.export.compare import BOX_DISTANCE, compare
from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.writing import export
from hardnet_mm.utils.configs import build_model
from helpers.stand_in import fill_tensor

MODELS = [
    *('ssd_hardnet', 'rfb_hardnet', 'centernet_hardnet', 'fchardnet70', 'mseg_hardnet'),
    'hardnet39ds',
]


def skip_without(format_name, int8=False):
    missing = FORMATS[format_name].missing_packages(int8)
    if missing:
        pytest.skip(f'{missing} not installed')


def filled(model):
    """A model with stand-in weights."""
    state = {
        key: fill_tensor(key, tuple(value.shape))
        for key, value in model.state_dict().items()
        if not key.startswith('data_preprocessor')
    }
    model.load_state_dict(state, strict=False)
    head = getattr(model, 'bbox_head', None)
    if hasattr(head, 'heatmap_head'):  # scores that differ, boxes within the image
        head.heatmap_head[-1].weight.data *= 0.1
    elif hasattr(head, 'map_names'):
        for scale, convs in ((0.01, head.cls_convs), (0.03, head.reg_convs)):
            for conv in convs:
                conv[0].weight.data *= scale
    elif getattr(model, 'out_channels', None) == 1:  # probabilities that differ, and not 0 or 1
        model.decode_head.conv_seg.weight.data *= 0.01
    return model.eval()


def in_pytorch(end_to_end):
    """An end-to-end model as the runtime of its file."""

    def run(images):
        with torch.no_grad():
            outputs = end_to_end(torch.from_numpy(images))
        return {name: output.numpy() for name, output in zip(end_to_end.names, outputs)}

    return run


class Small(torch.nn.Module):
    """As little as a format can hold."""

    names, any_size, classes = ['out'], True, ['a', 'b']

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return (self.conv(images).relu(),)


def random_images(count=1, size=(128, 128)):
    torch.manual_seed(0)
    return torch.randint(0, 256, (count, 3, *size)).float()


def deployed(model, inside='nms', classes=None):
    return build_end_to_end(to_deploy(model, channels_last=False), inside, classes).eval()


def sample(cfg, size, own=None):
    structures = importlib.import_module(f'{cfg.default_scope}.structures')
    kind = dict(mmdet='DetDataSample', mmseg='SegDataSample', mmpretrain='DataSample')
    own = own or size
    scale = (size[1] / own[1], size[0] / own[0])
    meta = dict(img_shape=size, ori_shape=own, scale_factor=scale, batch_input_shape=size)
    return getattr(structures, kind[cfg.default_scope])(metainfo=meta)


def item(cfg, image, own=None):
    """An image as a data set gives it."""
    size = tuple(image.shape[-2:])
    return dict(inputs=image.byte(), data_samples=sample(cfg, size, own))


def items(cfg, images, own=None):
    return [item(cfg, image, own) for image in images]


def predictions(model, items):
    """The model's own, by its test_step, one at a time."""
    batches = [
        dict(inputs=[item['inputs']], data_samples=[item['data_samples'].clone()]) for item in items
    ]
    with torch.no_grad():
        return [model.test_step(batch)[0] for batch in batches]


def assert_equal(comparison):
    """Nearer than the tolerances of tools/export.py, with no decision left out as a tie."""
    distances = dict(comparison.distances)
    assert distances and comparison.differences == [] and comparison.ties == 0
    assert distances.pop('detections', 0) == 0
    assert distances.pop(BOX_DISTANCE, 0) < 1e-2
    assert distances.pop('labels, share', 0) == 0
    assert distances.pop('scores', 0) < 1e-4
    assert distances.pop('outputs, relative', 0) < 1e-4
    assert not distances


def assert_predicts_as(model, found, batch):
    for entry in batch:
        assert_equal(compare(*found, model, entry))


def changed(models, name, **options):
    """The digits model of a config with other settings."""
    _, cfg = models(name)
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    return filled(build_model(cfg)), cfg


def assert_exports(model, cfg, path, images, own=None):
    """In PyTorch, decided in it and after it, and as an ONNX file."""
    batch = [item(cfg, image, own) for image in images]
    for inside in ('nms', 'decode', 'network'):
        end_to_end = deployed(model, inside)
        end_to_end.tested_as(batch[0]['data_samples'])
        assert_predicts_as(model, (end_to_end, in_pytorch(end_to_end)), batch)
    end_to_end = deployed(model)
    end_to_end.tested_as(batch[0]['data_samples'])
    skip_without('onnx')
    export(end_to_end, images[:1], path, 'onnx')
    assert_predicts_as(model, (end_to_end, load(path)), batch)
    return load(path)
