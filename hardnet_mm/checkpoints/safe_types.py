"""The types that a checkpoint of mmengine holds, which a safe reader must be told of."""

from pickle import UnpicklingError

import numpy as np

from ..foundation import HistoryBuffer


def checkpoint_types() -> list:
    """Return what mmengine's own checkpoints hold besides tensors and built-ins.

    A checkpoint's log is HistoryBuffers around NumPy arrays and scalars. They name NumPy's
    functions, of NumPy 1 or 2 depending on where it was written, and each dtype by its class.
    """
    # NumPy 1.26 has a numpy._core, too, but nothing is in it.
    core = np._core if np.lib.NumpyVersion(np.__version__) >= '2.0.0' else np.core
    numpy_functions = [
        (getattr(core.multiarray, name), f'numpy.{package}.multiarray.{name}')
        for name in ('_reconstruct', 'scalar')
        for package in ('core', '_core')
    ]
    dtypes = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, bool)}
    method = (_history_buffer_method, 'builtins.getattr')
    return [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *numpy_functions, method]


def _history_buffer_method(owner, name):
    """Stand in for getattr, by which a HistoryBuffer names its statistics, and for nothing else."""
    if owner is not HistoryBuffer:
        raise UnpicklingError(f'a checkpoint may name methods of HistoryBuffer only, not {owner}')
    return getattr(owner, name)
