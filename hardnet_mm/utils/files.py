"""Writing files atomically: completely or not at all. Reading files alone, no devices."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from .errors import InputError


@contextlib.contextmanager
def folder_beside(path):
    """Make a temporary folder beside the place where a file will be.

    The file's parent folders are made if they are missing. Those that are empty at the end are
    removed again.

    Args:
        path (str | Path): Where the file will be.

    Yields:
        Path: The temporary folder, an absolute path.
    """
    parents = Path(path).parents
    made = [folder for folder in parents if not folder.exists()]
    parents[0].mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix='.new-', dir=parents[0]) as folder:
            yield Path(folder).resolve()
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # the folder is not empty
                folder.rmdir()


@contextlib.contextmanager
def written_whole(path):
    """Write a file atomically: in the end there is either the complete new file, or the old one.

    The file is written under the same name in :func:`folder_beside`, and moved to its place when
    the block ends. An exception or an interruption in the block leaves the place as it was.

    Args:
        path (str | Path): Where the file will be. A file that is there is replaced.

    Yields:
        Path: Where to write.

    Examples:
        >>> with written_whole('weights.pth') as new:  # doctest: +SKIP
        ...     torch.save(model.state_dict(), new)
    """
    path = Path(path)
    with folder_beside(path) as folder:
        new = folder / path.name
        yield new
        os.replace(new, path)


def refuse_special_file(path):
    """Refuse a pipe, a socket or a device, which may have no end. A link to one is one.

    Args:
        path (str | Path): Path of the file. If nothing is there, opening it will say so.

    Raises:
        InputError: If it is neither a file nor a folder.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, TypeError, ValueError):  # an address, or no path at all
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f'{path} is a pipe or a device, not a file')
