"""Decides which convolutions :mod:`hardnet_mm.kernels.triton` computes on a GPU."""

import functools
import importlib.util
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from ..training.in_place_relu6 import InPlaceReLU6
from ..utils.tracing import is_eager
from .fused_conv import HALVES, FusedConv

ACTIVATIONS = (nn.Identity, nn.ReLU, nn.ReLU6, InPlaceReLU6)
OLDEST = (8, 0)  # Ampere, the first that computes in bfloat16 and copies past the registers


@functools.cache
def has_triton() -> bool:
    """Return whether a Triton with tensor descriptors is installed, version 3.4 or later."""
    try:
        return importlib.util.find_spec('triton.tools.tensor_descriptor') is not None
    except ModuleNotFoundError:
        return False


def can_link(x: Tensor, dtype: torch.dtype | None = None) -> bool:
    """Return whether the kernels can take a tensor as input.

    Args:
        x (Tensor): ``(N, C, H, W)``, channels-last.
        dtype (torch.dtype, optional): Type of the computation, if it is not that of the tensor.
            The tensor can then have any type and layout. Defaults to None.
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


def by_kernels(module: nn.Module, x: Tensor, *args: Any) -> Any:
    """Call a module's ``linked_forward`` on the tensor's GPU.

    If the kernels fail there, this warns, and sets the module's ``linkable`` to False. PyTorch
    then computes the module from that call on.

    Returns:
        The output, or None if the kernels failed.
    """
    try:
        with torch.cuda.device_of(x):
            return module.linked_forward(x, *args)
    except Exception as error:  # Triton's errors have no common class
        warnings.warn(
            f"{type(module).__name__} is computed by PyTorch's convolutions, more slowly: the "
            f'kernels fail on {x.device}: {error!r}',
            stacklevel=3,
        )
        module.linkable = False
        return None


def is_linkable(layer: nn.Module, halo: int = 1) -> bool:
    """Return whether the kernels can compute a layer: a Conv3x3 or Conv1x1 with 'same' padding.

    Args:
        layer (nn.Module): Any module.
        halo (int): The Conv3x3s' padding and dilation. Defaults to 1.
    """
    if not isinstance(layer, FusedConv) or not isinstance(layer.act, ACTIVATIONS):
        return False
    kernel = tuple(layer.weight.shape[2:])
    padding, dilation = (halo, halo) if kernel == (3, 3) else (0, 1)
    return (
        kernel in ((3, 3), (1, 1))
        and layer.groups == 1
        and layer.padding == [padding] * 2
        and layer.dilation == [dilation] * 2
    )
