"""Files that are written whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path


@contextlib.contextmanager
def written_whole(path):
    """Give a path to write to, whose file takes a place at the end, in one step.

    >>> with written_whole('weights.pth') as new:
    ...     torch.save(state_dict, new)

    Whatever ends the block before its end leaves what was in the place. The path to write to has
    the same name, in a new folder beside the place, which is gone afterwards.

    Args:
        path (str | Path): The place. Folders that are missing are made.

    Yields:
        Path: Where to write.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.new-', dir=path.parent) as folder:
        new = Path(folder, path.name)
        yield new
        os.replace(new, path)
