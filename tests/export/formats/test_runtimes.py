"""Real files in their real runtimes; a format whose package is missing is skipped."""

import concurrent.futures
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.exported import (
    MODELS,
    Small,
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
from hardnet_mm.export.writing import export

# Made of what the others are made of: one format shows that they fit it.
LIKE_OTHERS = ('rfb_hardnet', 'mseg_hardnet')
FILES = [
    pytest.param(
        *(format_name, name),
        marks=[pytest.mark.slow] * (name in LIKE_OTHERS and format_name != 'onnx'),
    )
    for format_name in FORMATS
    for name in MODELS
]
CLASSES = [f'digit {number}' for number in range(10)]


@pytest.mark.parametrize('format_name, name', FILES)
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


@pytest.mark.parametrize('format_name', FORMATS)
def test_two_threads_use_a_runtime(format_name, tmp_path):
    """At once, each with images of its own."""
    skip_without(format_name)
    path = tmp_path / f'model{FORMATS[format_name].suffix}'
    export(Small(), random_images(), path, format_name)
    runtime = load(path)
    batches = [images.numpy() for images in random_images(16).split(1)]
    wanted = [runtime(images) for images in batches]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(runtime, batches))
    for mine, alone in zip(found, wanted):
        np.testing.assert_allclose(mine['out'], alone['out'], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize('name', ['centernet_hardnet', 'fchardnet70', 'hardnet39ds'])
def test_onnx_takes_other_sizes(models, name, tmp_path):
    skip_without('onnx')
    model, cfg = models(name)
    end_to_end = deployed(model)
    export(end_to_end, random_images(), tmp_path / 'model.onnx', 'onnx')
    (item,) = items(cfg, random_images(1, (101, 150)))
    assert_equal(compare(end_to_end, load(tmp_path / 'model.onnx'), model, item))
