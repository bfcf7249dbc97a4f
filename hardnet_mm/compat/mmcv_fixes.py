"""Errors about images and masks that mmcv cannot decode name the file."""

import functools
import threading

import mmcv
from mmcv.image import io
from mmengine.fileio import HTTPBackend, LocalBackend

from ..utils.errors import InputError
from ..utils.files import refuse_special_file
from ..utils.images import not_decoded

_last = threading.local()  # read: reads the file again that this thread read last; and its path


def name_unreadable_images():
    """Let ``mmcv.imfrombytes`` name the file of an image or a mask that it cannot decode.

    Such a file is empty, cut off, too large or no image. OpenCV's and Pillow's errors do not name
    it, and for some files OpenCV returns None. All loaders of the toolboxes, and their metrics,
    read the file by mmengine and decode it by this function.

    A pipe or a device in the place of a file may have no end. It is refused before it is read.
    """
    if hasattr(mmcv.imfrombytes, '__wrapped__'):
        return
    for backend in (LocalBackend, HTTPBackend):
        backend.get = _remembering(backend.get)
        backend.get_text = _remembering(backend.get_text)
    decode = _naming(io.imfrombytes)
    for module in (io, mmcv.image, mmcv):
        module.imfrombytes = decode


def _remembering(get):
    @functools.wraps(get)
    def remember_and_get(self, filepath, *args, **kwargs):
        refuse_special_file(filepath)
        _last.path, _last.read = filepath, functools.partial(get, self, filepath)
        try:
            return get(self, filepath, *args, **kwargs)
        except MemoryError as error:
            raise InputError(f'{filepath} does not fit into the memory') from error

    return remember_and_get


def _naming(decode):
    @functools.wraps(decode)
    def decode_or_name(content, *args, **kwargs):
        try:
            image, reason = decode(content, *args, **kwargs), None
        except Exception as error:
            image, reason = None, error
        path = _path_of(content) if image is None else None
        if path is not None:
            raise not_decoded(path, content, reason) from reason
        if reason is not None:
            raise reason
        return image

    return decode_or_name


def _path_of(content):
    """Return the path of the file with this content if it was the last to be read, else None."""
    try:
        return _last.path if _last.read() == content else None
    except (AttributeError, OSError):  # nothing was read, or the file is not there any more
        return None
