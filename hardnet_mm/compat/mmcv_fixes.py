"""Adds the file's name to errors of mmcv's image loading."""

import functools

import cv2
from mmcv.transforms import LoadImageFromFile

from ..utils.errors import InputError


def name_unreadable_images():
    """Let LoadImageFromFile name a file that OpenCV cannot read, such as an empty or too large one.

    OpenCV's own error does not name the file.
    """
    if not hasattr(LoadImageFromFile.transform, '__wrapped__'):
        LoadImageFromFile.transform = _naming(LoadImageFromFile.transform)


def _naming(transform):
    @functools.wraps(transform)
    def load(self, results):
        try:
            return transform(self, results)
        except cv2.error as error:
            raise InputError(
                f'{results.get("img_path")} is no image that OpenCV can read: {error}'
            ) from error

    return load
