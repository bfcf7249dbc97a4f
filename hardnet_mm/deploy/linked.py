"""When blocks and stages are computed by the kernels for GPUs."""

import functools
import importlib.util

import torch

from ..utils.tracing import is_eager
from .fused_conv import FusedConv

HALVES = (torch.float16, torch.bfloat16)
OLDEST = (8, 0)  # Ampere, the first that computes in bfloat16 and copies past the registers


@functools.cache
def has_triton():
    """Return whether Triton is installed."""
    return importlib.util.find_spec('triton') is not None


def can_link(x, dtype=None):
    """Return whether a tensor is computed by the kernels, on its GPU.

    Args:
        x (Tensor): ``(N, C, H, W)``, channels-last.
        dtype (torch.dtype, optional): What it is computed in. Then it may be of any type and
            layout. Defaults to None: its own.
    """
    return (
        x.is_cuda
        and (dtype or x.dtype) in HALVES
        and is_eager(x)
        and not (x.requires_grad and torch.is_grad_enabled())
        and (dtype is not None or x.stride(1) == 1)
        and has_triton()
        and torch.cuda.get_device_capability(x.device) >= OLDEST
    )


def is_linkable(block):
    """Return whether a block has the layers that the kernels compute."""
    layers = list(block.layers)
    return (
        all(isinstance(layer, FusedConv) for layer in layers)
        and layers[0].weight.shape[1] >= 16
        and all(is_linkable_conv(layer, layers[0].dilation[0]) for layer in layers)
    )


def is_linkable_conv(conv, halo):
    """Return whether the kernels compute a convolution of maps padded by ``halo``."""
    from .fused_conv import LINKABLE_ACTS

    kernel = conv.weight.shape[-1]
    geometry = (
        [1, 1],
        1,
        [halo] * 2 if kernel == 3 else [1, 1],
        [halo] * 2 if kernel == 3 else [0, 0],
    )
    return (
        conv.weight.shape[2:] in ((1, 1), (3, 3))
        and (conv.stride, conv.groups, conv.dilation, conv.padding) == geometry
        and isinstance(conv.act, LINKABLE_ACTS)
    )


def linked_block(block, transition=None):
    """Return a block, and the transition after it, for the kernels."""
    from ..kernels.triton.linked_block import LinkedBlock

    with torch.inference_mode(False), torch.no_grad():
        return LinkedBlock(block.layers, block.links, block.out_layers, transition)
