import cv2
import numpy as np
import pytest
from helpers.pictures import image, write_video

from hardnet_mm.inference.frames import read_frames, read_image, usual_rate
from hardnet_mm.inference.sources import Source
from hardnet_mm.utils.errors import InputError


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


def test_a_cameras_frames_come_until_it_ends(tmp_path):
    """A video in a camera's place, which OpenCV opens in the same way."""
    path = write_video(tmp_path / 'clip.mp4', 4)
    frames = read_frames(Source('camera', str(path), 'camera'))
    found = [next(frames) for _ in range(4)]
    assert [frame.number for frame in found] == [0, 1, 2, 3]
    assert {frame.of for frame in found} == {None} and {frame.rate for frame in found} == {10}
    assert found[0].image.shape == (48, 64, 3)
    with pytest.raises(InputError, match='stopped after 4 frames'):
        next(frames)


def test_rates_that_no_video_has():
    assert [usual_rate(rate) for rate in (29.97, 0, -1, float('nan'), 90000)] == [29.97, *[25] * 4]
