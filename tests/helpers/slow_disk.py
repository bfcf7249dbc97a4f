"""A slow disk: importing this lets every file that mmengine writes take most of a second."""

import time

from mmengine.fileio.backends import local_backend

PARTS, PAUSE = 20, 0.04  # seconds


class SlowFile:
    """A file that is written part by part."""

    def __init__(self, file):
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, content):
        size = max(1, len(content) // PARTS)
        for start in range(0, len(content), size):
            self._file.write(content[start : start + size])
            self._file.flush()
            time.sleep(PAUSE)


def slow_open(path, mode='r', **kwargs):
    file = open(path, mode, **kwargs)
    return SlowFile(file) if mode == 'wb' else file


local_backend.open = slow_open
