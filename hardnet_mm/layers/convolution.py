"""A 3x3 convolution with a padding of 1, and its gradients, in the fastest way on a CPU.

All tensors are channels-last. Large convolutions are computed by Winograd's algorithm.
"""

import torch
from torch.nn import functional, grad

from . import winograd
from .memory_pool import MemoryPool

# Weights are transformed at each step, which few cells do not make up for.
LEAST_CELLS = 3000
# Of a weight's gradient both factors are transformed.
WEIGHT_GRADIENT_LIMIT = 60

_pool = MemoryPool()


def convolve(x, weight):
    """Map ``(N, C_in, H, W)`` to ``(N, C_out, H, W)`` with weights ``(C_out, C_in, 3, 3)``."""
    return (
        _by_winograd(x, weight) if _is_large(x, weight) else functional.conv2d(x, weight, padding=1)
    )


def input_gradient(gradient, weight):
    """Return the gradient of the input, ``(N, C_in, H, W)``, from that of the output."""
    # a convolution again, with the kernels turned around and the channels exchanged
    if _is_large(gradient, weight):
        return _by_winograd(gradient, weight.flip(2, 3).transpose(0, 1))
    batch, _, height, width = gradient.shape
    return grad.conv2d_input((batch, weight.shape[1], height, width), weight, gradient, padding=1)


def weight_gradient(x, gradient):
    """Return the gradient of the weights, ``(C_out, C_in, 3, 3)``."""
    shape = gradient.shape[1], x.shape[1], 3, 3
    if _is_large(x, torch.empty(shape, device='meta'), WEIGHT_GRADIENT_LIMIT):
        return winograd.weight_gradient(x, gradient, _pool)
    return grad.conv2d_weight(x, shape, gradient, padding=1)


def _is_large(x, weight, *limit):
    return (
        x.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and x.shape[0] * x.shape[2] * x.shape[3] >= LEAST_CELLS
        and winograd.pays(weight, x, *limit)
    )


def _by_winograd(x, weight):
    # outputs live long and are of many sizes: the pool would hold more than is in use at once
    shape = x.shape[0], len(weight), *x.shape[2:]
    out = torch.empty(shape, memory_format=torch.channels_last)
    return winograd.convolve(x, winograd.pack(weight, x.shape), None, _pool, out)


def concatenate(features):
    """Concatenate ``(N, C_i, H, W)`` along the channels, for the moment: in the pool's memory."""
    return _pool.concatenate(features)
