"""Files in int8."""

import numpy as np
import pytest
from helpers.exported import (
    MODELS,
    deployed,
    filled,
    in_pytorch,
    random_images,
    skip_without,
)
from helpers.small_dfus import SMALL_DFUS
from mmengine.config import Config

from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.quantization import QUANTIZERS
from hardnet_mm.export.writing import export
from hardnet_mm.utils.configs import build_model

CLASSES = [f'digit {number}' for number in range(10)]


@pytest.mark.parametrize('format_name', QUANTIZERS)
def test_int8_is_smaller_and_near(models, format_name, tmp_path):
    skip_without(format_name, int8=True)
    model, cfg = models('hardnet39ds')
    end_to_end = deployed(model, classes=CLASSES)
    images = random_images(1)
    suffix = FORMATS[format_name].suffix
    quantize = QUANTIZERS[format_name]
    batches = [image[None].numpy() for image in random_images(4)]
    paths = [tmp_path / f'{name}{suffix}' for name in ('float', 'int8')]
    files = [
        export(end_to_end, images, paths[0], format_name),
        export(end_to_end, images, paths[1], format_name, lambda path: quantize(path, batches)),
    ]
    weights = [max(file.stat().st_size for file in part) for part in files]
    assert weights[1] < 0.5 * weights[0]
    runtimes = [load(path) for path in paths]
    assert runtimes[1].classes == CLASSES
    scores = [runtime(images.numpy())['scores'] for runtime in runtimes]
    assert 0 < np.abs(scores[0] - scores[1]).max() < 0.5


@pytest.mark.parametrize('name', MODELS)
def test_onnx_int8_holds_every_convolution_of_the_network(models, name, tmp_path):
    skip_without('onnx')
    model, _ = models(name)
    path = tmp_path / 'model.onnx'
    export(deployed(model), random_images(1), path, 'onnx')
    QUANTIZERS['onnx'](path, [random_images(1).numpy()])
    nodes = pytest.importorskip('onnx').load(path).graph.node
    producers = {output: node.op_type for node in nodes for output in node.output}
    convolutions = [node for node in nodes if node.op_type == 'Conv']
    assert convolutions
    for node in convolutions:
        assert [producers[tensor] for tensor in node.input[:2]] == ['DequantizeLinear'] * 2


@pytest.fixture(scope='module', params=['mseg', 'dfus'])
def one_foreground(request, models):
    """A small model of one foreground, on stand-in weights."""
    if request.param == 'mseg':
        return models('mseg_hardnet')[0]
    return filled(build_model(Config(SMALL_DFUS)))


@pytest.mark.parametrize(
    'format_name',
    [pytest.param(name, marks=[pytest.mark.slow] * (name != 'onnx')) for name in QUANTIZERS],
)
def test_int8_of_one_foreground_is_near(one_foreground, format_name, tmp_path):
    """The logits, whose signs are what is predicted."""
    skip_without(format_name, int8=True)
    end_to_end = deployed(one_foreground, inside='network')
    path = tmp_path / f'int8{FORMATS[format_name].suffix}'
    images = random_images(4)
    batches = [image[None].numpy() for image in images]
    quantize = QUANTIZERS[format_name]
    export(end_to_end, images[:1], path, format_name, lambda file: quantize(file, batches))
    found = load(path)(batches[0])['logits']
    wanted = in_pytorch(end_to_end)(batches[0])['logits']
    assert found.shape == wanted.shape
    errors = (found - wanted).std() / wanted.std()
    print(format_name, errors)
    assert 0 < errors < 0.25
