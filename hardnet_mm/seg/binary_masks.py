"""Reading masks with one foreground class, in any encoding."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from ..utils.errors import InputError
from ..utils.images import not_decoded

FOREGROUND = 128  # of 255: what is brighter is foreground, as in PraNet's evaluation
NOISE = 8  # grey levels that a file once stored as JPEG is off by
AREA = 5  # pixels across: no edge, however soft, has one grey level over so much


def decode_mask(content: bytes, path: str, foreground: Sequence[int] | None = None) -> np.ndarray:
    """Decode a mask with one foreground class.

    Without ``foreground``, bright pixels are foreground. Grey values are preserved, so that soft
    edges stay soft:

    - grey, 8 or 16 bits: 0 is background, and the largest possible value foreground;
    - 1 bit, or only the values 0 and 1: 1 is foreground;
    - a palette: the first colour is background, and one other colour foreground;
    - colours: the value is that of the brightest channel. An alpha channel is ignored.

    A losslessly compressed mask is refused if it seems to have several classes: if it has areas of
    three different values, or values above 1 but none above 128.

    Args:
        content (bytes): Content of the file.
        path (str): Path of the file, for messages.
        foreground (Sequence[int], optional): Class indices that are foreground. With it, values of
            the mask are class indices. Defaults to None.

    Returns:
        np.ndarray: ``(H, W)``, uint8, 0 to 255. Values above 128 are foreground.

    Raises:
        InputError: If the file is not an image, or the mask has several classes.
    """
    image = open_image(content, path)
    lossless = image.format not in ('JPEG', 'WEBP', 'MPO')
    if foreground is not None:
        return _of_classes(image, path, foreground, lossless)
    if image.mode == 'P':
        return _of_palette(np.asarray(image), path)
    values = _brightness(np.asarray(image), path)
    if lossless:
        _refuse_several_classes(values, path)
    return values


def open_image(content: bytes, path: str) -> Image.Image:
    """Decode an image in whole by Pillow.

    Args:
        content (bytes): Content of the file.
        path (str): Path of the file, for messages.

    Returns:
        Image.Image: The image, as it is encoded.

    Raises:
        InputError: If the file is not an image, is truncated or damaged, or has more pixels than
            Pillow allows.
    """
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise not_decoded(path, content, error) from error
    return image


def _of_classes(image, path, foreground, lossless):
    values = np.asarray(image)
    if values.ndim != 2 or not lossless:
        raise InputError(
            f'{path} is {image.format} with the mode {image.mode}, and foreground={foreground} '
            'needs numbers of classes: one channel, in a file without loss'
        )
    return np.where(np.isin(values, list(foreground)), 255, 0).astype(np.uint8)


def _of_palette(indices, path):
    used = np.unique(indices)
    if len(used[used > 0]) > 1:
        raise _several_classes(path, f'uses the colours {used.tolist()} of its palette')
    return np.where(indices > 0, 255, 0).astype(np.uint8)


def _brightness(values, path):
    """Return grey values from 0 to 255, uint8."""
    if values.ndim == 3:
        alpha = values.shape[2] in (2, 4)
        values = values[..., :-1] if alpha else values
        _refuse_several_hues(values, path)
        values = values.max(axis=2)
    values = values.astype(np.int64)
    most = values.max()
    if most <= 1:  # of one bit, or the numbers of the two classes
        return (values * 255).astype(np.uint8)
    return (values // 257 if most > 255 else values).astype(np.uint8)


def _refuse_several_hues(colours, path):
    """Refuse bright pixels of different hues; up to 1 % of other hues count as noise."""
    bits = (colours > FOREGROUND) @ (1 << np.arange(colours.shape[2]))
    counts = np.bincount(bits.ravel())[1:]
    if (counts > max(counts.sum(), 1) / 100).sum() > 1:
        raise _several_classes(path, 'has several colours')


def _refuse_several_classes(values, path):
    """Refuse a losslessly compressed mask whose values are those of several classes."""
    most = values.max()
    if 0 < most <= FOREGROUND:
        raise _several_classes(path, f'has values up to {most}, and none above {FOREGROUND}')
    kernel = np.ones((AREA, AREA), np.uint8)
    flat = cv2.erode(values, kernel) == cv2.dilate(values, kernel)
    levels = np.unique(values[flat])
    distinct = 1 + (np.diff(levels.astype(np.int64)) > NOISE).sum()
    if distinct > 2 or np.unique(values).tolist() == [0, 1, 255]:
        raise _several_classes(path, f'has areas of the values {levels.tolist()[:8]}')


def _several_classes(path, what):
    return InputError(
        f'{path} {what}: a mask of a background and one foreground is expected, such as 0 and 255, '
        'or 0 and 1. LoadBinaryMask(foreground=[...]) names the classes that are foreground'
    )
