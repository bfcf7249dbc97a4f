"""The types that a checkpoint of mmengine holds, which a safe reader must be told of."""

from pickle import UnpicklingError

import numpy as np
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version

STATISTICS = ('min', 'max', 'mean', 'current')  # of a HistoryBuffer, before any is registered


def checkpoint_types() -> list:
    """Return what mmengine's own checkpoints hold besides tensors and built-ins.

    A checkpoint's log is HistoryBuffers around NumPy arrays and scalars. They name NumPy's
    functions, of NumPy 1 or 2 depending on where it was written, and each dtype by its class.
    """
    # NumPy 1.26 has a numpy._core, too, but nothing is in it.
    core = np._core if digit_version(np.__version__) >= digit_version('2.0') else np.core
    numpy_functions = [
        (getattr(core.multiarray, name), f'numpy.{package}.multiarray.{name}')
        for name in ('_reconstruct', 'scalar')
        for package in ('core', '_core')
    ]
    dtypes = {type(np.dtype(kind)) for kind in np.typecodes['AllInteger'] + '?efdU'}
    method = (_history_buffer_method, 'builtins.getattr')
    # a config's dict is what a dataset's metainfo may be; a slice, what an optimizer may keep
    plain = [HistoryBuffer, ConfigDict, slice]
    return [*plain, np.ndarray, np.dtype, *dtypes, *numpy_functions, method]


def _history_buffer_method(owner, name):
    """Stand in for getattr, by which a HistoryBuffer names its statistics, and for nothing else."""
    # its __getattribute__ would be a getattr for everything else
    if owner is not HistoryBuffer or name not in {*STATISTICS, *HistoryBuffer._statistics_methods}:
        raise UnpicklingError(f'a checkpoint may name statistics of HistoryBuffer, not {name}')
    return getattr(owner, name)
