"""Measurements of functions of an image batch: time, memory, multiply-adds."""

import ctypes
import statistics
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode


def interleave(functions, runs, warmup, device='cpu'):
    """Time functions in turn, so that what disturbs the machine disturbs all alike.

    Args:
        functions (list[callable]): Without arguments.
        runs (int): Counted runs of each.
        warmup (int): Runs of each that are not counted, first.
        device (str): Where they compute; a GPU is timed by its own events.

    Returns:
        list[list[float]]: Seconds of each counted run of each function.
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
    """Return the 10th and the 90th percentile."""
    if len(seconds) == 1:
        return seconds * 2
    deciles = statistics.quantiles(seconds, n=10, method='inclusive')
    return deciles[0], deciles[-1]


def peak_memory(function, device='cpu'):
    """Return the most bytes that a run of a function adds to what is held before it.

    On a GPU it is PyTorch's own count. On a CPU it is the growth of the process, which includes
    what oneDNN and other runtimes allocate by themselves.

    Returns:
        int | None: None where the system tells no process's peak (it is Linux's /proc that does).
    """
    if device.startswith('cuda'):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is taken now
        Path('/proc/self/clear_refs').write_text('5')  # the peak starts again from here
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


def count_work(model, images):
    """Return the multiply-adds of the model's convolutions, linear layers and attentions."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(images)
    return counter.get_total_flops() // 2


def convolution_peak(dtype, device='cpu', runs=10):
    """Return the multiply-adds a second that the machine reaches in one large convolution.

    3x3 on 256 channels of 64 x 64 positions, channels-last: the best of a few runs.
    """
    layout = dict(device=device, dtype=dtype)
    convolution = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False).to(**layout)
    convolution = convolution.to(memory_format=torch.channels_last)
    maps = torch.rand(1, 256, 64, 64, **layout).to(memory_format=torch.channels_last)
    with torch.no_grad():
        (seconds,) = interleave([lambda: convolution(maps)], runs, 3, device)
    return count_work(convolution, maps) / min(seconds)
