"""From sources to frames, one at a time; whatever cannot be read is told, not guessed."""

import io
from dataclasses import dataclass
from http.client import HTTPException
from urllib.request import Request, urlopen

import cv2
import mmcv
import numpy as np
from mmengine.fileio import get
from PIL import Image, UnidentifiedImageError

from ..utils.errors import InputError
from .sources import Source

TIMEOUT = 30  # seconds without a byte
USUAL_RATE = 25  # frames a second, where a camera or a file does not tell


@dataclass(frozen=True)
class Frame:
    """An image, or a frame of a video.

    Attributes:
        source (Source): Where it is from.
        image (ndarray): ``(H, W, 3)`` uint8, BGR.
        number (int, optional): Its place in a video, from 0. Defaults to None: it is an image.
        of (int, optional): How many frames the source has. Defaults to None: nobody knows.
        rate (float, optional): Frames a second. Defaults to None: it is an image.
    """

    source: Source
    image: np.ndarray
    number: int | None = None
    of: int | None = None
    rate: float | None = None


def read_frames(source):
    """Yield the frames of a source.

    Args:
        source (Source): Of :func:`~hardnet_mm.inference.sources.find_sources`.

    Yields:
        Frame: The next one.

    Raises:
        InputError: If it is no image or video, is cut off or damaged, or the camera is not there.
        OSError: If a file cannot be read, or nobody answers at an address.
    """
    return READERS[source.kind](source)


def read_image(address):
    """Return an image ``(H, W, 3)`` uint8, BGR, as the toolboxes read it for testing.

    OpenCV fills up what a file lacks. Pillow tells that it does.

    Args:
        address (str): A path or an address.

    Raises:
        InputError: If it is no image, or not a whole one.
        OSError: If a file cannot be read, or nobody answers at an address.
    """
    content = _fetch(address) if address.startswith(('http://', 'https://')) else get(address)
    _check_whole(address, content)
    try:
        image = mmcv.imfrombytes(content)
    except cv2.error:  # of an empty file
        image = None
    if image is None:
        raise InputError(f'{address} is no image that OpenCV can read')
    return image


def _check_whole(address, content):
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except UnidentifiedImageError:  # OpenCV may know it
        pass
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f'{address} is cut off or damaged: {error}') from error


def _fetch(address):
    try:
        request = Request(address, headers={'User-Agent': 'hardnet_mm'})
        with urlopen(request, timeout=TIMEOUT) as response:
            return response.read()
    except (OSError, HTTPException) as error:
        raise InputError(f'{address} could not be downloaded ({error})') from error


def _read_image_frame(source):
    yield Frame(source, read_image(source.address), of=1)


def _read_video(source):
    with mmcv.VideoReader(source.address, cache_capacity=1) as video:
        if not video.opened:
            raise InputError(f'{source} is no video that OpenCV can read, or is cut off')
        count, rate, number = max(video.frame_cnt, 0), usual_rate(video.fps), -1
        for number, image in enumerate(video):
            yield Frame(source, image, number, max(count, number + 1), rate)
    # the count of some formats is an estimate, so that a second is not missed
    if number < 0 or number + 1 < count - rate:
        raise InputError(f'{source} is cut off or damaged after {number + 1} of {count} frames')


def _read_camera(source):
    address = int(source.address) if source.address.isdigit() else source.address
    camera = cv2.VideoCapture(address)
    try:
        if not camera.isOpened():
            raise InputError(f'{source} cannot be opened: it is not there, or used by another')
        rate, number = usual_rate(camera.get(cv2.CAP_PROP_FPS)), 0
        while (answer := camera.read())[0]:
            yield Frame(source, answer[1], number, rate=rate)
            number += 1
        raise InputError(f'{source} gave no more frames after {number}')
    finally:
        camera.release()


def usual_rate(rate):
    """Return a frame rate that a video can have: what was told, if it can be."""
    return rate if 0 < rate <= 1000 else USUAL_RATE


READERS = dict(image=_read_image_frame, video=_read_video, camera=_read_camera)
