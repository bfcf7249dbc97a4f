"""examples/onnxruntime, on a file of this package."""

import cv2
import numpy as np
import pytest
from helpers.exported import (
    deployed,
    random_images,
    skip_without,
)

from hardnet_mm.export.formats import load
from hardnet_mm.export.writing import export

CLASSES = [f'digit {number}' for number in range(10)]


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
    assert 'none.png cannot be read' in missing


def test_the_example_says_how_it_is_used(run_tool, models, tmp_path):
    skip_without('onnx')
    output = run_tool('../examples/onnxruntime/detect.py', fails=True)
    assert 'usage: detect.py' in output and 'Traceback' not in output
    export(deployed(models('hardnet39ds')[0]), random_images(), tmp_path / 'model.onnx', 'onnx')
    output = run_tool(
        '../examples/onnxruntime/detect.py', tmp_path / 'model.onnx', 'a.png', 'b.png', fails=True
    )
    assert 'model.onnx is no SSD' in output and 'Traceback' not in output
