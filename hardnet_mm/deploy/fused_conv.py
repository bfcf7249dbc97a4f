"""Convolution, norm and activation as one module."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..kernels.cpu import winograd
from ..kernels.cpu.buffers import MemoryPool, runs_in_pool
from ..kernels.cpu.capabilities import has_onednn_convolutions
from ..training.in_place_relu6 import InPlaceReLU6
from ..utils.tracing import is_eager
from .packed import Packed

# Activations that oneDNN computes with the convolution: oneDNN's name and arguments.
ONEDNN_ACTIVATIONS = {
    nn.ReLU: lambda act: ('relu', []),
    nn.ReLU6: lambda act: ('hardtanh', [0.0, 6.0]),
    InPlaceReLU6: lambda act: ('hardtanh', [0.0, 6.0]),
    nn.LeakyReLU: lambda act: ('leaky_relu', [act.negative_slope]),
    nn.SiLU: lambda act: ('swish', []),
    nn.Hardswish: lambda act: ('hardswish', []),
    nn.Sigmoid: lambda act: ('sigmoid', []),
}
HALVES = (torch.bfloat16, torch.float16)


class FusedConv(nn.Module):
    """A convolution with a folded norm and an in-place activation, for inference only.

    On a CPU, oneDNN computes convolution and activation in one pass, with prepacked weights. A
    large 3x3 convolution is computed by Winograd's algorithm if that is faster.

    Args:
        conv (nn.Conv2d): The convolution.
        norm (_BatchNorm, optional): The norm after it, whose running statistics are folded.
        act (nn.Module, optional): The activation after that.
        pool (MemoryPool, optional): Memory pool of Winograd's algorithm. Defaults to None: the
            algorithm is not used.
    """

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.Module | None = None,
        act: nn.Module | None = None,
        pool: MemoryPool | None = None,
    ) -> None:
        super().__init__()
        conv = conv if norm is None else fuse_conv_bn_eval(conv.eval(), norm.eval())
        self.weight = nn.Parameter(conv.weight.detach(), requires_grad=False)
        self.bias = conv.bias
        if self.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach(), requires_grad=False)
        self.padding, self.stride = list(conv.padding), list(conv.stride)
        self.dilation, self.groups = list(conv.dilation), conv.groups
        self.act = nn.Identity() if act is None else act
        if hasattr(self.act, 'inplace'):
            self.act.inplace = True
        fused = ONEDNN_ACTIVATIONS.get(type(self.act))
        self.fused_act = fused(self.act) if fused else ('none', [])
        self.rest = nn.Identity() if fused else self.act  # what oneDNN leaves to do
        self.pool = pool if winograd.is_supported(self) else None
        # for the first input size: oneDNN takes its layout for others, too
        self._winograd_kernels = Packed(winograd.pack_kernels)
        self._reordered_weight = Packed(_reorder)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to the activated ``(N, out_channels, H', W')``."""
        if type(self.act) is nn.ReLU and self.bias is not None and computes_in_cudnn(x):
            geometry = (self.stride, self.padding, self.dilation, self.groups)
            return torch.cudnn_convolution_relu(x, self.weight, self.bias, *geometry)
        if not (runs_in_pool(x) and has_onednn_convolutions(x.dtype)):
            return self.act(self._convolve_plainly(x))
        if self.pool is not None and winograd.is_faster(self.weight, x):
            kernels = self._winograd_kernels([self], self.weight, x.shape)
            return self.act(winograd.convolve(x, kernels, self.bias, self.pool))
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        weight = self._reordered_weight([self], self.weight, x.shape, geometry)
        name, numbers = self.fused_act
        x = torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, *geometry, name, numbers, ''
        )
        return self.rest(x)

    def _convolve_plainly(self, x):
        weight, bias = self.weight, self.bias
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        if (
            x.device.type == 'cpu'
            and is_eager(x)
            and x.dtype in HALVES
            and not has_onednn_convolutions(x.dtype)
        ):
            # PyTorch's own take several times as long in these types, or are not there
            bias = None if bias is None else bias.float()
            return functional.conv2d(x.float(), weight.float(), bias, *geometry).to(x.dtype)
        return functional.conv2d(x, weight, bias, *geometry)


def computes_in_cudnn(x: Tensor) -> bool:
    """Return whether a tensor is on a GPU with cuDNN, in eager mode, without gradients."""
    return (
        x.is_cuda
        and torch.version.cuda is not None
        and torch.backends.cudnn.enabled
        and is_eager(x)
        and not (x.requires_grad and torch.is_grad_enabled())
        and not torch.is_autocast_enabled()
    )


def _reorder(weight, shape, geometry):
    return torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, list(shape))
