"""Exporting a whole model to a file, and running it in the model's place."""

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .format_files import FORMAT_FILES, existing_files, exists_hint
from .formats import FORMATS


def export(whole, images, path, name, quantize=None, check=None, overwrite=False):
    """Write a whole model in a format, whole or not at all.

    Args:
        whole (WholeModel): The model.
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
    with _folder_beside(path) as folder:
        new = folder / path.name
        FORMATS[name].convert(whole, images, new)
        if quantize is not None:
            quantize(new)
        if check is not None:
            check(new)
        refuse_existing(path, name, overwrite)  # minutes later
        files = FORMAT_FILES[name].files(path)
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


@contextlib.contextmanager
def _folder_beside(path):
    """Give a new folder in a file's future folder; neither is left where it was not there."""
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix='.export-', dir=path.parent) as folder:
            yield Path(folder).resolve()
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it holds the files
                folder.rmdir()


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


class ExportedModel(nn.Module):
    """An exported file in the model's place in a runner's test loop.

    Args:
        whole (WholeModel): The model that was exported, for what the file does not hold.
        runtime (callable): The loaded file.
    """

    def __init__(self, whole, runtime):
        super().__init__()
        self.whole, self.runtime = whole, runtime

    def test_step(self, data):
        """Return the data samples of a batch with their predictions."""
        images = torch.stack(list(data['inputs'])).float().numpy()
        return self.whole.attach(self.runtime(np.ascontiguousarray(images)), data['data_samples'])
