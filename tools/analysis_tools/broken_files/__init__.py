"""Hostile and broken files, each tried by a tool of this repository in a process of its own.

A :class:`~.cases.Case` makes its file and says what must come of it; :mod:`.running` runs the tool,
with a bound on time and memory. The tests and the table in docs/ are of one list,
:func:`all_cases`.
"""


def all_cases():
    """Return all cases, the heading of their table by the kind of their file."""
    from . import annotations, checkpoints, exported, images

    return {
        'Checkpoints': checkpoints.CASES,
        'Images': images.CASES,
        'Annotations': annotations.CASES,
        'Exported files': exported.CASES,
    }
