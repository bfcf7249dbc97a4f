"""Buffers for intermediate tensors, reused from one run of a model to the next."""

import math
import threading
import weakref

import numpy as np
import torch

from ...utils.tracing import is_eager

ALIGNMENT = 64  # bytes: a cache line, and a register of AVX-512


class MemoryPool:
    """A pool of buffers. A buffer is reused when no tensor refers to its memory any more.

    When a large CPU tensor is freed, PyTorch's allocator returns its memory to the operating
    system. The operating system then zeroes the pages of the next tensor of that size. This took
    8 % of HarDNet68's time at 1024 x 1024, and a quarter of it with Winograd's algorithm.

    A model may return tensors of the pool. A buffer is not reused while such a tensor, or a view of
    it, exists.
    """

    def __init__(self):
        self._buffers = []  # pairs: memory, and a weak reference to what was last handed out of it
        self._lock = threading.Lock()

    def __reduce__(self):
        """Copy and save as an empty pool: buffers belong to one model."""
        return MemoryPool, ()

    def empty(self, shape, dtype):
        """Return a contiguous, uninitialised CPU tensor."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            free = sorted(
                (pair for pair in self._buffers if pair[1]() is None), key=lambda pair: pair[0].size
            )
            buffer = next((pair for pair in free if pair[0].size >= size), None)
            if buffer is None:
                if free:  # grow the largest, so that there are never more than are in use at once
                    self._buffers = [pair for pair in self._buffers if pair is not free[-1]]
                buffer = [_aligned(size), None]
                self._buffers.append(buffer)
            lent = buffer[0][:size]  # an array of its own, which the tensor's storage holds
            buffer[1] = weakref.ref(lent)
        return torch.from_numpy(lent).view(dtype).view(shape)

    def empty_channels_last(self, shape, dtype):
        """Return an uninitialised ``(N, C, H, W)`` whose memory is ``(N, H, W, C)``."""
        batch, channels, height, width = shape
        return self.empty((batch, height, width, channels), dtype).permute(0, 3, 1, 2)

    def concatenate(self, features):
        """Concatenate ``(N, C_i, H, W)`` along the channels; a single one is passed on uncopied."""
        if len(features) == 1:
            return features[0]
        first = features[0]
        if not all(runs_in_pool(feature) for feature in features):
            return torch.cat(features, dim=1)
        channels = sum(feature.shape[1] for feature in features)
        out = self.empty_channels_last((first.shape[0], channels, *first.shape[2:]), first.dtype)
        return torch.cat(features, dim=1, out=out)


def _aligned(size):
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


def runs_in_pool(x):
    """Return whether a tensor is channels-last, on the CPU, in eager mode, without gradients."""
    return (
        x.dtype in (torch.float32, torch.bfloat16, torch.float16)
        and not (x.requires_grad and torch.is_grad_enabled())
        and x.device.type == 'cpu'
        and is_eager(x)
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
    )
