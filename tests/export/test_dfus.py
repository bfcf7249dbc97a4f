"""HarDNet-DFUS in its inference form and in files: windows, heads, linear layers at each pixel."""

import pytest
import torch
from helpers.exported import (
    assert_exports,
    assert_predicts_as,
    deployed,
    filled,
    item,
    random_images,
    skip_without,
)
from helpers.small_dfus import SMALL_DFUS
from mmengine.config import Config

from hardnet_mm.deploy import to_deploy
from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.writing import export
from hardnet_mm.utils.configs import build_model
from hardnet_mm.utils.errors import InputError


@pytest.fixture(scope='module')
def small():
    cfg = Config(SMALL_DFUS)
    return filled(build_model(cfg)), cfg


@pytest.mark.cpu
def test_predictions_stay(small):
    model, _ = small
    images = (random_images(2, (128, 64)) - 120) / 60
    with torch.no_grad():
        found, wanted = (m(images, mode='tensor') for m in (to_deploy(model), model))
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_onnx(small, tmp_path):
    """As the model predicts, and at another size, too."""
    model, cfg = small
    loaded = assert_exports(model, cfg, tmp_path / 'dfus.onnx', random_images())
    end_to_end = deployed(model)
    other = item(cfg, random_images(1, (64, 192))[0])
    end_to_end.tested_as(other['data_samples'])
    assert_predicts_as(model, (end_to_end, loaded), [other])


@pytest.mark.parametrize(
    'format_name',
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name != 'torch'))
        for name in FORMATS
        if name not in ('onnx', 'ncnn')
    ],
)
def test_other_formats(small, tmp_path, format_name):
    """Of an own size, which each of them holds."""
    skip_without(format_name)
    model, cfg = small
    kind = FORMATS[format_name]
    images = random_images(1, (128, 128))
    end_to_end = deployed(model, kind.inside)
    entry = item(cfg, images[0])
    end_to_end.tested_as(entry['data_samples'])
    path = tmp_path / f'dfus{kind.suffix}'
    export(end_to_end, images, path, format_name)
    assert_predicts_as(model, (end_to_end, load(path)), [entry])


@pytest.mark.slow
def test_ncnn_has_no_place_for_patches(small, tmp_path):
    """They are a batch, which ncnn does not have: told, and nothing is left."""
    skip_without('ncnn')
    model, _ = small
    path = tmp_path / 'dfus.param'
    end_to_end = deployed(model, FORMATS['ncnn'].inside)
    with pytest.raises(InputError, match='ncnn cannot read .*: it has no operator for Tensor'):
        export(end_to_end, random_images(1), path, 'ncnn', check=load)
    assert not list(tmp_path.iterdir())
