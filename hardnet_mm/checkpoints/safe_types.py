"""The types in mmengine's checkpoints that a safe reader must allow."""

from pickle import UnpicklingError

import numpy as np
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version

STATISTICS = ('min', 'max', 'mean', 'current')  # of a HistoryBuffer, before any is registered


def checkpoint_types() -> list:
    """Return the types and functions, besides tensors and built-ins, in mmengine's checkpoints.

    A checkpoint's log consists of HistoryBuffers, which contain NumPy arrays and scalars. Their
    pickles name functions of the NumPy version (1 or 2) that wrote them, and a class for each
    dtype.

    Returns:
        list: Types, and pairs of an object and the name that pickles give it, as
        ``torch.serialization.safe_globals`` takes them.
    """
    # NumPy 1.26 also has a numpy._core, which is empty.
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
    """Replace ``getattr``, by which a HistoryBuffer names its statistics, for those only."""
    # its __getattribute__ would be a getattr for everything else
    if owner is not HistoryBuffer or name not in {*STATISTICS, *HistoryBuffer._statistics_methods}:
        raise UnpicklingError(f'a checkpoint may name statistics of HistoryBuffer, not {name}')
    return getattr(owner, name)
