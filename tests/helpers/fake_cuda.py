"""Tensors that say they are on a GPU, on a machine without one: a mixture of devices raises."""

import copy

import pytest
import torch
from mmengine.structures import BaseDataElement

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
    """

    def __init__(self):
        super().__init__(allow_non_fake_inputs=False)

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
