"""Files that are written whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path


@contextlib.contextmanager
def folder_beside(path):
    """Give a new folder in a file's future folder, for a time.

    Folders that are missing are made, and go again where nothing was put into them.

    Args:
        path (str | Path): The file's future path.

    Yields:
        Path: The new folder, a whole path.
    """
    parents = Path(path).parents
    made = [folder for folder in parents if not folder.exists()]
    parents[0].mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix='.new-', dir=parents[0]) as folder:
            yield Path(folder).resolve()
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it holds the file
                folder.rmdir()


@contextlib.contextmanager
def written_whole(path):
    """Give a path to write to, whose file takes a place at the end, in one step.

    >>> with written_whole('weights.pth') as new:
    ...     torch.save(state_dict, new)

    Whatever ends the block before its end leaves what was in the place. The path to write to has
    the same name, in a :func:`folder_beside` the place.

    Args:
        path (str | Path): The place.

    Yields:
        Path: Where to write.
    """
    path = Path(path)
    with folder_beside(path) as folder:
        new = folder / path.name
        yield new
        os.replace(new, path)
