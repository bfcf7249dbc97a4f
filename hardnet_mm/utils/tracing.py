"""Tells eager execution from tracing, compiling and function transforms."""

import warnings

import torch
from torch.autograd import forward_ad

try:
    from torch.compiler import is_compiling
except ImportError:  # torch 2.1
    from torch._dynamo import is_compiling


def is_eager(x):
    """Return whether a tensor is computed eagerly.

    This is False under ``torch.compile``, ``torch.export``, ``torch.fx`` and ``torch.jit.trace``.
    There, callers use plain operations only, because the compiler decides what to store and what
    to compute in place.

    Args:
        x (Tensor): A tensor, or what a tracer passes in its place.
    """
    return isinstance(x, torch.Tensor) and not is_compiling() and not torch.jit.is_tracing()


def constant(number):
    """Return a size as an integer, which a traced file holds as a constant.

    PyTorch warns of constants in a trace. This is for files that take images of one size.

    Args:
        number (int | Tensor): The size. ``torch.jit.trace`` gives sizes as tensors.
    """
    if not torch.jit.is_tracing():
        return int(number)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', torch.jit.TracerWarning)
        return int(number)


def in_plain_autograd(x):
    """Return whether reverse-mode autograd, and nothing else, records operations on a tensor.

    Forward-mode autograd and the transforms of ``torch.func`` do not support hooks on saved
    tensors, nor every ``torch.autograd.Function``.

    Args:
        x (Tensor): A tensor, or what a tracer passes in its place.
    """
    return (
        is_eager(x)
        and torch.is_grad_enabled()
        and torch._C._autograd._saved_tensors_hooks_is_enabled()
        and forward_ad.unpack_dual(x).tangent is None
    )
