import cv2
import numpy as np
from helpers.pictures import image

from hardnet_mm.inference.frames import read_image, usual_rate


def test_an_image_is_read_as_the_toolboxes_read_it(tmp_path):
    for name in ('a.jpg', 'b.png'):
        path = str(tmp_path / name)
        cv2.imwrite(path, image())
        assert np.array_equal(read_image(path), cv2.imread(path))
    for name, pixels in (('grey', image()[..., 0]), ('deep', image().astype(np.uint16) * 257)):
        path = str(tmp_path / f'{name}.png')
        cv2.imwrite(path, pixels)
        found = read_image(path)
        assert found.shape == (48, 64, 3) and found.dtype == np.uint8


def test_rates_that_no_video_has():
    assert [usual_rate(rate) for rate in (29.97, 0, -1, float('nan'), 90000)] == [29.97, *[25] * 4]
