"""Adds the file's name to errors of mmcv's image loading."""

import functools

import cv2
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from PIL import Image

from ..utils.errors import InputError


def name_unreadable_images():
    """Let mmcv's transforms name an image or a mask that OpenCV or Pillow cannot read.

    Such a file is empty, cut off or too large. The libraries' own errors do not name it.
    """
    for kind, key in ((LoadImageFromFile, 'img_path'), (LoadAnnotations, 'seg_map_path')):
        if not hasattr(kind.transform, '__wrapped__'):
            kind.transform = _naming(kind.transform, key)


def _naming(transform, key):
    @functools.wraps(transform)
    def load(self, results):
        try:
            return transform(self, results)
        except cv2.error as error:
            raise _refused(results[key], 'OpenCV', error) from error
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            # a disk's error has a number, mmcv's own names the file
            if getattr(error, 'errno', None) is not None or str(results[key]) in str(error):
                raise
            raise _refused(results[key], 'Pillow', error) from error

    return load


def _refused(path, library, error):
    return InputError(f'{path} is no image that {library} can read: {error}')
