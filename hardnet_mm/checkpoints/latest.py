"""Finds the checkpoint from which an interrupted training is resumed."""

import sys
from pathlib import Path

from ..utils.errors import InputError
from .files import check_checkpoint

PATTERNS = ('epoch_*.pth', 'iter_*.pth')


def find_latest(work_dir: str | Path) -> Path | None:
    """Return the latest complete checkpoint in a work dir; None if there are no checkpoints.

    It is the checkpoint that the file ``last_checkpoint`` names, or else the newest complete one.
    The interruption may have left either file incomplete. Skipped files are logged.

    Raises:
        InputError: If there are checkpoints, but none is complete.
    """
    folder = Path(work_dir).expanduser()
    found = sorted(
        (path for pattern in PATTERNS for path in folder.glob(pattern)),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    if named := _named_by(folder / 'last_checkpoint'):
        found.insert(0, named)
    for path in found:
        if path.is_dir():  # DeepSpeed's
            return path
        try:
            check_checkpoint(str(path))
        except (InputError, FileNotFoundError) as error:
            print(f'{error}: it is left out', file=sys.stderr)
        else:
            return path
    if found:
        raise InputError(
            f'no checkpoint in {folder} is complete: start again in another --work-dir'
        )
    return None


def _named_by(pointer):
    """Return the path that a pointer file names, None if there is no file or it is damaged."""
    try:
        text = pointer.read_text().strip() if pointer.is_file() else ''
        named = Path(text)
        return text and (named if named.exists() else pointer.with_name(named.name))
    except (ValueError, OSError) as error:  # bytes that are no text, no path, or too long for one
        print(f'{pointer} is damaged ({error}): it is left out', file=sys.stderr)
        return None
