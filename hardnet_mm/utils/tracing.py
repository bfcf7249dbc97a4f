"""Whether PyTorch computes as the program runs, or a tracer, compiler or transform looks on."""

import torch
from torch.autograd import forward_ad

try:
    from torch.compiler import is_compiling
except ImportError:  # torch 2.1
    from torch._dynamo import is_compiling


def is_eager(x):
    """Return whether a tensor is computed as the program runs.

    Under compilers, ``torch.export``, ``torch.fx`` and ``torch.jit.trace`` only plain operations
    are used: the compiler decides what to store and what to compute in place.
    """
    return isinstance(x, torch.Tensor) and not is_compiling() and not torch.jit.is_tracing()


def in_plain_autograd(x):
    """Return whether autograd records what is done to a tensor, in reverse mode and alone.

    Forward mode and the transforms of ``torch.func`` take no hooks of saved tensors, or not every
    function that autograd has been taught.
    """
    return (
        is_eager(x)
        and torch.is_grad_enabled()
        and torch._C._autograd._saved_tensors_hooks_is_enabled()
        and forward_ad.unpack_dual(x).tangent is None
    )
