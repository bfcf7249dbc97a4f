"""bfloat16's autocast on a CPU, where mmengine's AmpOptimWrapper refuses to run."""

import contextlib

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch.overrides import TorchFunctionMode


class WithoutUnit(TorchFunctionMode):
    """Convolutions as a unit of bfloat16 computes them, on a CPU that has none.

    Numbers of bfloat16 are multiplied, sums are kept in float32 and rounded at the end. PyTorch's
    own code for such CPUs takes some hundred times longer.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is not torch.conv2d:
            return function(*args, **(kwargs or {}))
        rounded = [
            value.bfloat16().float() if isinstance(value, torch.Tensor) else value for value in args
        ]
        with torch.autocast('cpu', enabled=False):
            return function(*rounded, **(kwargs or {})).bfloat16()


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Computes losses under autocast; parameters and their steps stay in float32."""

    @contextlib.contextmanager
    def optim_context(self, model):
        has_unit = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        mode = contextlib.nullcontext() if has_unit else WithoutUnit()
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16), mode:
            yield
