"""How kernels are launched: each after the one before, or while it still computes."""

import contextlib
import functools
from collections.abc import Iterator

import torch

from . import tables

_chosen: bool | None = None  # None: as the table for this kind of GPU says


def options() -> dict:
    """Return a kernel's arguments that say how it is launched.

    A dependent launch starts a kernel while the one before still computes (CUDA's programmatic
    dependent launch, from Hopper on). The kernel then waits before it reads anything. What a start
    takes is hidden, which is worth something where dozens of short kernels follow each other. Other
    kernels before and after are waited for as usual.
    """
    dependent = are_dependent()
    return dict(DEPENDENT=dependent, **(dict(launch_pdl=True) if dependent else {}))


def are_dependent() -> bool:
    """Return whether launches are dependent."""
    return _by_table() if _chosen is None else _chosen


@functools.cache
def _by_table():
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (9, 0):
        return False
    return tables.read().get('dependent_launches', False)


@contextlib.contextmanager
def made(dependent: bool) -> Iterator[None]:
    """Make launches dependent, or not, within the context."""
    global _chosen
    before, _chosen = _chosen, dependent
    try:
        yield
    finally:
        _chosen = before
