"""Resolves inputs of the command line: images, folders, patterns, addresses, videos, cameras.

It imports nothing that takes time, so that a command line can be checked at once.
"""

import glob
import os
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

IMAGES = ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
VIDEOS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')
STREAMS = ('rtmp', 'rtsp', 'udp')  # schemes of network cameras


class Source(NamedTuple):
    """A source of frames.

    Attributes:
        kind (str): 'image', 'video' or 'camera'.
        address (str): A path, an address, or the number of a camera.
        name (str): Name of the source's outputs, a relative path without a suffix.
    """

    kind: str
    address: str
    name: str

    def __str__(self):
        """Return the source's name for messages."""
        return f'camera {self.address}' if self.address.isdigit() else self.address


def find_sources(text):
    """Return the sources that an input of the command line names.

    Args:
        text (str): A file; a folder, which is searched with its subfolders; a shell pattern, in
            which ``**`` stands for any subfolders; an address; or the number of a camera.

    Returns:
        list[Source]: The sources, sorted by path.

    Raises:
        ValueError: If the input names nothing that exists.

    Examples:
        >>> find_sources('0')
        [Source(kind='camera', address='0', name='camera-0')]
    """
    path = os.path.expanduser(text)
    if os.path.isdir(path):
        return _find_in(Path(path))
    if os.path.exists(path):
        return [_named(path, Path(path).stem)]
    if text.isdigit():
        return [Source('camera', text, f'camera-{text}')]
    if '://' in text:
        return [_at_address(text)]
    if not glob.has_magic(path):
        raise ValueError(f'there is no image, folder or video {text}')
    found = sorted(file for file in glob.glob(path, recursive=True) if _is_known(file))
    if not found:
        raise ValueError(f'no image and no video matches {text}')
    return [_named(file, Path(file).stem) for file in found]


def _find_in(folder):
    """Return the images and videos in a folder and its subfolders, without hidden ones."""
    below = (file.relative_to(folder) for file in folder.rglob('*') if _is_known(file))
    found = sorted(file for file in below if not any(part[0] == '.' for part in file.parts))
    if not found:
        raise ValueError(f'there is no image and no video in {folder}')
    return [_named(str(folder / file), str(file.with_suffix(''))) for file in found]


def _at_address(text):
    parts = urlsplit(text)
    if parts.scheme in STREAMS:
        return Source('camera', text, 'camera')
    # only the last part of the path, so that no address leads out of the output folder
    stem = PurePosixPath(unquote(parts.path).replace('\0', '')).stem
    return _named(text, 'image' if stem in ('', '.', '..') else stem, unquote(parts.path))


def _named(address, name, path=None):
    suffix = os.path.splitext(path or address)[1].lower()
    return Source('video' if suffix in VIDEOS else 'image', address, name)


def _is_known(file):
    return os.path.splitext(file)[1].lower() in (*IMAGES, *VIDEOS) and os.path.isfile(file)
