"""Images and masks that a data set's transforms cannot read are named."""

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations

from hardnet_mm.utils.errors import InputError


def part_of_png(path, part):
    image = np.random.default_rng(0).integers(0, 255, (32, 32), np.uint8)
    content = cv2.imencode('.png', image)[1].tobytes()
    path.write_bytes(content[: int(len(content) * part)])
    return str(path)


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('part', [0, 0.5])
def test_an_image_that_cannot_be_read_is_named(tmp_path, backend, part):
    path = part_of_png(tmp_path / 'cut.png', part)
    with pytest.raises((InputError, AssertionError, OSError), match='cut.png'):
        LoadImageFromFile(imdecode_backend=backend)(dict(img_path=path))


@pytest.mark.parametrize('part', [0, 0.5])
def test_a_mask_that_cannot_be_read_is_named(tmp_path, part):
    path = part_of_png(tmp_path / 'cut.png', part)
    results = dict(seg_map_path=path, seg_fields=[], reduce_zero_label=False)
    with pytest.raises(InputError, match='cut.png is no image that Pillow can read'):
        LoadAnnotations()(results)


def test_a_file_that_is_not_there_is_so(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.png'):
        LoadImageFromFile()(dict(img_path=str(tmp_path / 'none.png')))
