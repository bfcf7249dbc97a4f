"""Exporting an end-to-end model to files, which are written completely or not at all."""

import contextlib
import os
from pathlib import Path

from ..utils.files import folder_beside
from .formats import FORMATS, RUNTIMES
from .formats.table import existing_files, exists_hint


def export(end_to_end, images, path, name, quantize=None, check=None, overwrite=False):
    """Export an end-to-end model to a format. Either all files are written, or none.

    Args:
        end_to_end (EndToEndModel): The model.
        images (Tensor): Real images ``(N, 3, H, W)``, at the size for which to export.
        path (Path): The main file, with the suffix of its format.
        name (str): Name of the format, a key of :data:`FORMATS`.
        quantize (callable, optional): Rewrites the file at a path in int8.
        check (callable, optional): Called with the path of the finished file before it is moved to
            ``path``. It raises an error if the file is wrong.
        overwrite (bool): Whether to replace existing files. Defaults to False.

    Returns:
        list[Path]: The written files, the main file first. Some formats store weights in a second
        file.

    Raises:
        FileExistsError: If one of the files exists, and ``overwrite`` is False.
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
    """Refuse to replace the main file or its companions.

    Raises:
        FileExistsError: If one of a format's files exists and ``overwrite`` is False, or if it is a
            folder. Folders are never replaced.
    """
    existing = existing_files(path, name, overwrite)
    if existing:
        raise FileExistsError(exists_hint(existing))


def _move_in(folder, files):
    """Move new files from a folder to their destination, all of them or none.

    The old main file is removed first, and the new main file is moved last. If the process ends in
    between, there is no main file next to companions of another export.
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
