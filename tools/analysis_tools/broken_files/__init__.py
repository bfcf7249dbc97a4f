"""Hostile and broken files. Each is given to a tool of this repository in a separate process.

A :class:`~.cases.Case` creates its file and states the expected outcome. :mod:`.running` runs the
tool, with limits on time and memory. The tests and the table in docs/ use the same list,
:func:`all_cases`.
"""


def all_cases():
    """Return all cases by the heading of their table, one heading for each kind of file."""
    from . import annotations, checkpoints, exported, images, masks

    return {
        'Checkpoints': checkpoints.CASES,
        'Images': images.CASES,
        'Masks': masks.CASES,
        'Annotations': annotations.CASES,
        'Exported files': exported.CASES,
    }
