"""Which fast operators work on this machine's CPU, found by trying them once.

PyTorch has private operators for oneDNN's convolutions with prepacked weights. They can apply the
activation in the same pass, and add the result to a tensor. Whether they work depends on PyTorch's
release and build (ARM, macOS), on the CPU's instructions, and on the dtype.
"""

import functools
import warnings

import torch
from torch.nn import functional

# Padding, stride, dilation and groups of the convolution that is tried.
GEOMETRY = ([1, 1], [1, 1], [1, 1], 1)


def has_onednn_convolutions(dtype):
    """Return whether PyTorch's private oneDNN convolutions work here in a dtype.

    If they do not, the first call warns, and the caller must use plain convolutions.

    Args:
        dtype (torch.dtype): Type of the input and the weights.
    """
    # oneDNN can be switched off at any time, by torch.backends.mkldnn.flags
    return torch._C._get_mkldnn_enabled() and works_here(dtype)


def try_onednn_convolutions(dtype):
    """Try them on a small tensor, and warn if they fail."""
    try:
        error = _onednn_error(dtype)
    except (AttributeError, RuntimeError, TypeError) as reason:  # absent, refused, other arguments
        error = str(reason).partition('\n')[0]
    if error is None:
        return True
    message = f"PyTorch {torch.__version__} lacks oneDNN's {dtype} convolutions here ({error}): "
    if dtype == torch.float32:
        message += 'results stay right, but to_deploy gains less: no fused activations, no Winograd'
    else:
        message += (
            'they are computed in torch.float32 and rounded, slower than torch.float32 itself'
        )
    warnings.warn(message, stacklevel=2)
    return False


works_here = functools.cache(try_onednn_convolutions)


@torch.inference_mode(False)
@torch.no_grad()
@torch.autocast('cpu', enabled=False)
def _onednn_error(dtype):
    """Return the error of oneDNN's convolutions in a dtype; None if they work."""
    generator = torch.Generator().manual_seed(0)  # the user's random numbers stay as they are
    x, weight, bias, total = (
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        for shape in ((1, 16, 8, 8), (16, 16, 3, 3), (16,), (1, 16, 8, 8))
    )
    x, total = (tensor.to(memory_format=torch.channels_last) for tensor in (x, total))
    wanted = functional.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    operators = torch.ops.mkldnn
    packed = operators._reorder_convolution_weight(weight, *GEOMETRY, [*x.shape])
    activated = operators._convolution_pointwise(x, packed, bias, *GEOMETRY, 'relu', [], '')
    added = total.clone(memory_format=torch.channels_last)
    operators._convolution_pointwise_.binary(
        added, x, packed, bias, *GEOMETRY, 'add', 1.0, None, [], ''
    )
    allowed = 16 * torch.finfo(dtype).eps * wanted.abs().max()
    for found, reference in ((activated, wanted.relu()), (added, wanted + total.double())):
        if not (found.double() - reference).abs().max() <= allowed:
            return 'it computes other values'
    return None


def has_wide_registers():
    """Return whether PyTorch uses AVX-512 on this CPU."""
    return torch.backends.cpu.get_cpu_capability().startswith('AVX512')
