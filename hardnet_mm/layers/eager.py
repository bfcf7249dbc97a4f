"""Whether PyTorch computes, or a tracer or compiler looks on."""

import torch

from .memory_pool import is_compiling


def is_eager(x):
    """Return whether a tensor is computed as the program runs.

    Compilers, ``torch.export``, ``torch.fx`` and ``torch.jit.trace`` see plain operations: which
    tensor to keep, and what to do in place, they decide by themselves. ``torch.fx`` also knows no
    sizes, and they can be symbols elsewhere.
    """
    return isinstance(x, torch.Tensor) and not is_compiling() and not torch.jit.is_tracing()
