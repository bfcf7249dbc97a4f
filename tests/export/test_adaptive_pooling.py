"""PSPNet and UPerNet pool to any size."""

import pytest
from helpers.exported import (
    assert_predicts_as,
    deployed,
    filled,
    items,
    random_images,
    skip_without,
)
from mmengine.config import Config

from hardnet_mm.export.formats import load
from hardnet_mm.export.writing import export
from hardnet_mm.utils.configs import build_model


@pytest.mark.slow
@pytest.mark.parametrize('name', ['pspnet_hardnet68-d8', 'upernet_hardnet68'])
def test_pooling_to_any_size_exports(root, tmp_path, name):
    """PSPNet and UPerNet: in ONNX for other sizes of images, too."""
    skip_without('onnx')
    cfg = Config.fromfile(root / f'configs/toolbox_models/{name}_4xb4-80k_ade20k-512x512.py')
    model = filled(build_model(cfg))
    end_to_end = deployed(model)
    path = tmp_path / 'model.onnx'
    export(end_to_end, random_images(1, (64, 96)), path, 'onnx')
    for size in ((64, 96), (112, 65)):
        batch = items(cfg, random_images(1, size))
        assert_predicts_as(model, (end_to_end, load(path)), batch)
