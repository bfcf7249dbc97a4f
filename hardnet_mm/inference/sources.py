"""What a text of the command line names: an image, a folder, an address, a video, a camera.

It imports nothing that takes time, so that a command line is checked before anything else.
"""

import glob
import os
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

IMAGES = ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
VIDEOS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')
STREAMS = ('rtmp', 'rtsp', 'udp')  # schemes of cameras in a network


class Source(NamedTuple):
    """Where frames come from.

    Attributes:
        kind (str): 'image', 'video' or 'camera'.
        address (str): A path, an address, or the number of a camera.
        name (str): What its outputs are called, a relative path without a suffix.
    """

    kind: str
    address: str
    name: str

    def __str__(self):
        """Return what messages call it."""
        return f'camera {self.address}' if self.address.isdigit() else self.address


def find_sources(text):
    """Return the sources that a text names.

    Args:
        text (str): A path; a folder, searched with all that is in it; a pattern of the shell's
            kind, ``**`` for folders within folders; an address; or the number of a camera.

    Returns:
        list[Source]: In the order of their names.

    Raises:
        ValueError: If nothing is there.
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
    """Return the images and videos in a folder, hidden ones left out."""
    below = (file.relative_to(folder) for file in folder.rglob('*') if _is_known(file))
    found = sorted(file for file in below if not any(part[0] == '.' for part in file.parts))
    if not found:
        raise ValueError(f'there is no image and no video in {folder}')
    return [_named(str(folder / file), str(file.with_suffix(''))) for file in found]


def _at_address(text):
    parts = urlsplit(text)
    if parts.scheme in STREAMS:
        return Source('camera', text, 'camera')
    # what a name of a file could not be stays on the server
    stem = PurePosixPath(unquote(parts.path).replace('\0', '')).stem
    return _named(text, 'image' if stem in ('', '.', '..') else stem, unquote(parts.path))


def _named(address, name, path=None):
    suffix = os.path.splitext(path or address)[1].lower()
    return Source('video' if suffix in VIDEOS else 'image', address, name)


def _is_known(file):
    return os.path.splitext(file)[1].lower() in (*IMAGES, *VIDEOS) and os.path.isfile(file)
