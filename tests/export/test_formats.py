"""Real files in their real runtimes; a format whose package is missing is skipped."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.exported import (
    MODELS,
    assert_equal,
    deployed,
    items,
    predictions,
    random_images,
    skip_without,
)

from hardnet_mm.export.compare import compare
from hardnet_mm.export.exported_model import ExportedModel
from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.quantization import QUANTIZERS
from hardnet_mm.export.writing import export

CLASSES = [f'digit {number}' for number in range(10)]


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('format_name', FORMATS)
def test_files_run(models, name, format_name, tmp_path, monkeypatch):
    """By a relative path, too; and the file holds the names where it can."""
    skip_without(format_name)
    monkeypatch.chdir(tmp_path)
    model, cfg = models(name)
    kind = FORMATS[format_name]
    classes = [*CLASSES, *(['rest'] if name == 'fchardnet70' else [])]
    end_to_end = deployed(model, kind.inside, classes)
    path = Path(f'out/model{kind.suffix}')
    files = export(end_to_end, random_images(), path, format_name)
    assert files[0] == path and sorted(path.parent.iterdir()) == sorted(files)
    runtime = load(path)
    assert set(runtime.names) == set(end_to_end.names)
    assert runtime.classes == (None if format_name == 'ncnn' else classes)
    images = random_images(2)
    for item in items(cfg, images):
        assert_equal(compare(end_to_end, runtime, model, item))
    # two at once, at an own size that is not the tested one
    batch = items(cfg, images, own=(96, 192))
    found = ExportedModel(end_to_end, runtime).test_step(
        dict(inputs=images.byte(), data_samples=[item['data_samples'].clone() for item in batch])
    )
    for mine, wanted in zip(found, predictions(model, batch)):
        if 'pred_instances' in wanted:
            mine, wanted = mine.pred_instances, wanted.pred_instances
            some = wanted.scores > 0.02
            assert some.any()
            torch.testing.assert_close(mine.scores[: len(wanted)], wanted.scores, rtol=0, atol=1e-4)
            # nearly equal scores may come in either order
            distances = torch.cdist(wanted.bboxes[some], mine.bboxes, p=float('inf'))
            assert distances.amin(dim=1).max() < 1e-2
        elif 'pred_score' in wanted:
            torch.testing.assert_close(mine.pred_score, wanted.pred_score, rtol=0, atol=1e-4)
        else:
            assert mine.pred_sem_seg.shape == wanted.pred_sem_seg.shape == (96, 192)


@pytest.mark.parametrize('name', ['centernet_hardnet', 'fchardnet70', 'hardnet39ds'])
def test_onnx_takes_other_sizes(models, name, tmp_path):
    skip_without('onnx')
    model, cfg = models(name)
    end_to_end = deployed(model)
    export(end_to_end, random_images(), tmp_path / 'model.onnx', 'onnx')
    (item,) = items(cfg, random_images(1, (101, 150)))
    assert_equal(compare(end_to_end, load(tmp_path / 'model.onnx'), model, item))


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


@pytest.mark.parametrize('classes', [None, CLASSES])
def test_the_example(run_tool, models, tmp_path, classes):
    """Without mm, it prints and draws the boxes that the file gives, with their names."""
    skip_without('onnx')
    model, _ = models('ssd_hardnet')
    path, source, drawn = (tmp_path / name for name in ('model.onnx', 'image.png', 'drawn.png'))
    images = random_images(1, (192, 192))
    export(deployed(model, classes=classes), images, path, 'onnx')
    cv2.imwrite(str(source), images[0].permute(1, 2, 0).byte().numpy())
    lines = run_tool('../examples/onnxruntime/detect.py', path, source, drawn).splitlines()
    (wanted,) = load(path)(images.numpy()).values()
    wanted = wanted[wanted[:, 2] > 0.3]
    assert len(lines) == len(wanted) > 0
    for line, (_, label, score, *box) in zip(lines, wanted):
        name, _, rest = line.partition(': ')
        assert name == (classes[int(label)] if classes else str(int(label)))
        assert rest.startswith(f'{score:.2f} ')
        assert np.abs(np.array(rest.split()[1:], float) - box).max() <= 0.51
    assert (cv2.imread(str(source)) != cv2.imread(str(drawn))).any()
    missing = run_tool('../examples/onnxruntime/detect.py', path, 'none.png', drawn, fails=True)
    assert 'none.png is no image' in missing


def test_the_example_says_how_it_is_used(run_tool, models, tmp_path):
    skip_without('onnx')
    output = run_tool('../examples/onnxruntime/detect.py', fails=True)
    assert 'usage: detect.py' in output and 'Traceback' not in output
    export(deployed(models('hardnet39ds')[0]), random_images(), tmp_path / 'model.onnx', 'onnx')
    output = run_tool(
        '../examples/onnxruntime/detect.py', tmp_path / 'model.onnx', 'a.png', 'b.png', fails=True
    )
    assert 'model.onnx is no SSD' in output and 'Traceback' not in output
