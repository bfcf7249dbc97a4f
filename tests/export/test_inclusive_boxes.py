"""Files of an SSD whose boxes end at their last pixel, as the original's on COCO."""

import pytest
import torch
from helpers.exported import (
    assert_equal,
    deployed,
    filled,
    in_pytorch,
    item,
    predictions,
    random_images,
    skip_without,
)
from mmengine.config import Config

from hardnet_mm.export.compare import compare
from hardnet_mm.export.formats import load
from hardnet_mm.export.writing import export
from hardnet_mm.utils.configs import build_model

SHAPES = ((128, 128), (40, 60), (60, 40))  # of the images before they were resized


@pytest.fixture(scope='module')
def ssd(root):
    cfg = Config.fromfile(root / 'configs/digits/ssd_hardnet_digits.py')
    cfg.model.bbox_head.inclusive_boxes = True
    return filled(build_model(cfg)), cfg


def assert_found(end_to_end, runtime, model, entry):
    """The model's own detections, in the image's own pixels."""
    (wanted,) = predictions(model, [entry])
    outputs = runtime(entry['inputs'][None].float().numpy())
    (found,) = end_to_end.attach(outputs, [entry['data_samples'].clone()])
    found, wanted = found.pred_instances, wanted.pred_instances
    assert len(wanted) > 20
    assert found.labels.tolist() == wanted.labels.tolist()
    torch.testing.assert_close(found.scores, wanted.scores, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.bboxes, wanted.bboxes, rtol=0, atol=1e-2)


@pytest.mark.parametrize('inside', ['decode', 'network'])
def test_suppression_after_the_file_counts_the_images_own_pixel(ssd, inside):
    """Whatever its size, and though one file serves all sizes."""
    model, cfg = ssd
    end_to_end = deployed(model, inside)
    for own in SHAPES:
        assert_found(end_to_end, in_pytorch(end_to_end), model, item(cfg, random_images()[0], own))


def test_boxes_of_a_file_end_after_the_images_own_pixel(ssd, tmp_path):
    """Suppression in the file counts the tested image's, which may decide otherwise."""
    model, cfg = ssd
    end_to_end = deployed(model)
    skip_without('onnx')
    export(end_to_end, random_images(), tmp_path / 'model.onnx', 'onnx')
    runtime = load(tmp_path / 'model.onnx')
    image = random_images()[0]
    assert_equal(compare(end_to_end, runtime, model, item(cfg, image)))
    outputs = runtime(image[None].numpy())
    views = []
    for own in SHAPES:
        (found,) = end_to_end.attach(outputs, [item(cfg, image, own)['data_samples']])
        views.append(found.pred_instances.bboxes / torch.tensor([own[1], own[0]]).repeat(2))
        # of a corner, what is not a pixel of the image's own
        views[-1][:, 2:] -= 1 / torch.tensor([own[1], own[0]])
    for view in views[1:]:
        torch.testing.assert_close(view, views[0], rtol=0, atol=1e-4)
    assert_found(end_to_end, runtime, model, item(cfg, image))
