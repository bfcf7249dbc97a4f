"""Reads the frames of sources, one at a time. Damaged input is an error, never a guess."""

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
from ..utils.images import not_decoded
from .sources import Source

TIMEOUT = 30  # seconds without a byte
USUAL_RATE = 25  # frames a second, if a camera or a file gives no valid rate


@dataclass(frozen=True)
class Frame:
    """An image, or a frame of a video.

    Attributes:
        source (Source): The source of the frame.
        image (ndarray): ``(H, W, 3)`` uint8, BGR.
        number (int, optional): Index of the frame in a video, from 0. Defaults to None: the source
            is an image.
        of (int, optional): Number of frames of the source. Defaults to None: it is unknown.
        rate (float, optional): Frames a second. Defaults to None: the source is an image.
    """

    source: Source
    image: np.ndarray
    number: int | None = None
    of: int | None = None
    rate: float | None = None


def read_frames(source):
    """Yield the frames of a source.

    Args:
        source (Source): As of :func:`~hardnet_mm.inference.sources.find_sources`.

    Yields:
        Frame: The next frame.

    Raises:
        InputError: If the source is not an image or a video, is truncated or damaged, cannot be
            downloaded, or is a camera that cannot be opened.
        OSError: If a file cannot be read.
    """
    return READERS[source.kind](source)


def read_image(address):
    """Read an image as the toolboxes read it for testing.

    OpenCV reads a truncated file and fills the missing part. Therefore Pillow checks the file
    first.

    Args:
        address (str): A path or an address.

    Returns:
        ndarray: ``(H, W, 3)`` uint8, BGR.

    Raises:
        InputError: If the file is not an image, is truncated or damaged, or cannot be downloaded.
        OSError: If a file cannot be read.
    """
    content = _fetch(address) if address.startswith(('http://', 'https://')) else get(address)
    _check_whole(address, content)
    try:
        image = mmcv.imfrombytes(content)
    except cv2.error:  # an empty file
        image = None
    if image is None:
        raise not_decoded(address, content)
    return image


def _check_whole(address, content):
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except UnidentifiedImageError:  # OpenCV may know the format
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
    # some formats only estimate their number of frames, so a missing second is accepted
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
        raise InputError(f'{source} stopped after {number} frames')
    finally:
        camera.release()


def usual_rate(rate):
    """Return the rate, in frames a second, if a video can have it, else the usual one."""
    return rate if 0 < rate <= 1000 else USUAL_RATE


READERS = dict(image=_read_image_frame, video=_read_video, camera=_read_camera)
