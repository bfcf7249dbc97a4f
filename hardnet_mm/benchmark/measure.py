"""Measures time, memory and multiply-adds (MACs) of functions."""

import ctypes
import statistics
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode


def interleave(functions, runs, warmup, device='cpu'):
    """Time functions in turn, so that a disturbance of the machine affects all of them.

    Args:
        functions (list[callable]): Functions without arguments.
        runs (int): Number of timed runs of each function.
        warmup (int): Number of untimed runs of each function before those.
        device (str): Device that the functions compute on. A GPU is timed by CUDA events. Defaults
            to 'cpu'.

    Returns:
        list[list[float]]: A list for each function: the seconds of its timed runs.
    """
    timer = _seconds_on_cuda if device.startswith('cuda') else _seconds
    for _ in range(warmup):
        for function in functions:
            timer(function)
    taken = [[] for _ in functions]
    for _ in range(runs):
        for seconds, function in zip(taken, functions):
            seconds.append(timer(function))
    return taken


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _seconds_on_cuda(function):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    function()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000


def spread(seconds):
    """Return the 10th and the 90th percentile of a list of seconds."""
    if len(seconds) == 1:
        return seconds * 2
    deciles = statistics.quantiles(seconds, n=10, method='inclusive')
    return deciles[0], deciles[-1]


def peak_memory(function, device='cpu'):
    """Return by how many bytes a function's run raises the memory in use, at its peak.

    On a GPU, PyTorch's allocator counts. On a CPU, the resident memory of the process counts,
    which includes the allocations of oneDNN and other runtimes.

    Args:
        function (callable): A function without arguments, which is called once.
        device (str): Device that the function computes on. Defaults to 'cpu'.

    Returns:
        int | None: Bytes. None for a CPU where the system does not report a process's peak. Linux
        does, by ``/proc``.
    """
    if device.startswith('cuda'):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    try:
        ctypes.CDLL(None).malloc_trim(0)  # or memory freed earlier would be used unseen
        Path('/proc/self/clear_refs').write_text('5')  # resets the peak
    except (OSError, AttributeError, TypeError):
        return None
    before = _process_memory('VmRSS')
    function()
    return _process_memory('VmHWM') - before


def _process_memory(name):
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def count_macs(model, images):
    """Return the multiply-adds (MACs) of a model's convolutions, linear layers and attentions.

    Args:
        model (nn.Module): The model, which is run once.
        images (Tensor): ``(N, 3, H, W)``.

    Returns:
        int: MACs of the complete batch, by PyTorch's ``FlopCounterMode``.

    Examples:
        >>> count_macs(torch.nn.Conv2d(3, 8, 3, padding=1), torch.zeros(1, 3, 10, 20))
        43200
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(images)
    return counter.get_total_flops() // 2


def convolution_peak(dtype, device='cpu', runs=10):
    """Return the multiply-adds a second that the machine reaches in one large convolution.

    The convolution is 3x3, has 256 input and output channels at 64 x 64 positions, and is in
    channels-last layout.

    Args:
        dtype (torch.dtype): Type of maps and weights.
        device (str): Device to compute on. Defaults to 'cpu'.
        runs (int): Number of runs, of which the fastest counts. Defaults to 10.

    Returns:
        float: MACs a second.
    """
    layout = dict(device=device, dtype=dtype)
    convolution = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False).to(**layout)
    convolution = convolution.to(memory_format=torch.channels_last)
    maps = torch.rand(1, 256, 64, 64, **layout).to(memory_format=torch.channels_last)
    with torch.no_grad():
        (seconds,) = interleave([lambda: convolution(maps)], runs, 3, device)
    return count_macs(convolution, maps) / min(seconds)
