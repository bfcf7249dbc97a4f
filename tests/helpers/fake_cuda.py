"""Tensors that say they are on a GPU, on a machine without one: a mixture of devices raises."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.structures import BaseDataElement

import hardnet_mm

PACKAGE = Path(hardnet_mm.__file__).parent
TORCH = Path(torch.__file__).parent

try:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=False):
        AVAILABLE = torch.empty(1, device='cuda').device.type == 'cuda'
except (ImportError, RuntimeError, AssertionError):  # PyTorch of before 2.2, or without CUDA
    AVAILABLE = False

needs_fake_cuda = pytest.mark.skipif(
    not AVAILABLE, reason='this PyTorch has no fake CUDA tensors without a driver'
)


class FakeCuda(FakeTensorMode if AVAILABLE else object):
    """Within it, operations compute devices and shapes but no values.

    An operation on tensors of two devices raises, as does one that must know values, for which a
    GPU would be waited for: a mask as an index, ``item``, ``nonzero``.

    Attributes:
        copies (list[str]): Places in this package that copied between CPU and GPU, for which a GPU
            is waited for, too: a number or list that became a tensor, an index that is a list.
    """

    def __init__(self):
        super().__init__(allow_non_fake_inputs=False)
        self.copies = []

    def dispatch(self, func, types, args=(), kwargs=None):
        out = super().dispatch(func, types, args, kwargs)
        if func is torch.ops.aten._to_copy.default and not (kwargs or {}).get('non_blocking'):
            if args[0].device.type != out.device.type:
                self.copies += own_place()
        return out

    def like(self, value):
        """Return what is like a tensor, or like all tensors of a data sample, and on the GPU."""
        if isinstance(value, torch.Tensor):
            with self:
                return torch.empty_strided(
                    value.shape, value.stride(), dtype=value.dtype, device='cuda'
                )
        if isinstance(value, BaseDataElement):
            moved = copy.copy(value)
            for key, entry in value.items():
                if isinstance(entry, (torch.Tensor, BaseDataElement)):
                    place = f'_{key}' if f'_{key}' in vars(moved) else key
                    object.__setattr__(moved, place, self.like(entry))
            return moved
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.like, value))
        return value

    def move(self, model):
        """Move a model's parameters and buffers, and nothing else that it may hold."""
        for module in model.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    module._parameters[name] = torch.nn.Parameter(
                        self.like(parameter), parameter.requires_grad
                    )
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = self.like(buffer)
        return model


def own_place():
    """Return the innermost place outside of PyTorch that runs, if it is in the package."""
    frame = sys._getframe()
    while TORCH in Path(frame.f_code.co_filename).parents or frame.f_code.co_filename == __file__:
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    inside = PACKAGE in path.parents
    return [f'{path.relative_to(PACKAGE)}:{frame.f_lineno}'] if inside else []
