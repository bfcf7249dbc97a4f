"""Exporting an end-to-end model to a file: all of it, or nothing."""

import contextlib
import os
from pathlib import Path

from ..utils.files import folder_beside
from .formats import FORMATS, RUNTIMES
from .formats.table import existing_files, exists_hint


def export(end_to_end, images, path, name, quantize=None, check=None, overwrite=False):
    """Write an end-to-end model in a format, all of it or nothing.

    Args:
        end_to_end (EndToEndModel): The model.
        images (Tensor): Real images ``(N, 3, H, W)``, at the size to export for.
        path (Path): The file to write, with the suffix of its format.
        name (str): Name of the format, of :data:`FORMATS`.
        quantize (callable, optional): Rewrites the file at a path in int8.
        check (callable, optional): Gets the path of the finished file before it is in place, and
            raises where it is not right.
        overwrite (bool): Whether to replace the format's files where they are there already.
            Defaults to False.

    Returns:
        list[Path]: What was written, the main file first: some formats have weights in a file
        beside.

    Raises:
        FileExistsError: If one of the files is there already.
    """
    path = Path(path)
    refuse_existing(path, name, overwrite)
    with folder_beside(path) as folder:
        new = folder / path.name
        RUNTIMES[name].convert(end_to_end, images, new)
        if quantize is not None:
            quantize(new)
        if check is not None:
            check(new)
        refuse_existing(path, name, overwrite)  # minutes later
        files = FORMATS[name].files(path)
        _move_in(folder, files)
    return files


def refuse_existing(path, name, overwrite=False):
    """Refuse to replace a file, those beside the main file included.

    Raises:
        FileExistsError: If one of a format's files is there and is not to be overwritten, or is a
            folder, which never is.
    """
    existing = existing_files(path, name, overwrite)
    if existing:
        raise FileExistsError(exists_hint(existing))


def _move_in(folder, files):
    """Move new files from a folder into place, all of them or none.

    The main file comes last, and the one that it replaces goes first: whatever ends the process in
    between, no main file stands beside files of another export.
    """
    old = folder / 'replaced'
    old.mkdir()
    moves = [(file, old / file.name) for file in files if file.exists() or file.is_symlink()]
    moves += [(folder / file.name, file) for file in reversed(files)]
    done = []
    try:
        for source, target in moves:
            done.append((source, target))
            os.replace(source, target)
    except BaseException:
        for source, target in reversed(done):
            with contextlib.suppress(FileNotFoundError):  # the one that was interrupted
                os.replace(target, source)
        raise
