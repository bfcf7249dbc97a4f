"""Choosing the block sizes of a linked convolution, measured or estimated."""

import contextlib
import functools
import warnings

import torch

from . import tables
from .linked_conv import Blocks

# Output channels of a program: of one sum, and of a second one, since each is a power of two.
OUTS = ((16, 0), (32, 0), (64, 0), (128, 0), (256, 0), (64, 16), (64, 32), (128, 32), (128, 64))
MULTIPROCESSORS = 132  # of an H100 or H200; what follows is for GPUs of about that size
SHARED_MEMORY = 220_000  # bytes of each, at most
# Sums of a program that fit into the registers of eight warps and of four, by the taps of a step.
MOST_SUMS = {1: 256 * 128, 3: 128 * 96}
FEW_SUMS = {1: 128 * 160, 3: 128 * 128}

_noted: dict | None = None
_chosen: dict = {}


def blocks_for(conv, maps, out, padded, geometry=None):
    """Return the block sizes of a convolution: measured ones, or an estimate.

    Args:
        conv (LinkedConv): The convolution.
        maps, out, padded, geometry: The arguments of its call.

    Returns:
        Blocks: The entry with the nearest number of rows in the table for this kind of GPU, or an
        estimate if the table has none.
    """
    rows = (geometry or maps).rows
    key = (*kind_of(conv, padded), rows.bit_length())
    if _noted is not None:
        _noted.setdefault(key, (conv, maps, out, padded, geometry))
    if key not in _chosen:
        measured = table().get(key[:-1])
        if measured:
            _chosen[key] = measured[min(measured, key=lambda bits: abs(bits - key[-1]))]
        else:
            _chosen[key] = candidates(conv, rows)[0]
    return _chosen[key]


def kind_of(conv, padded):
    """Return the properties that determine the best blocks, besides the number of rows."""
    links = tuple(width for _, width in conv.links)
    return conv.kernel, conv.stride, links, conv.out_channels, padded


@functools.cache
def table():
    """Return the blocks that were measured on GPUs of this compute capability.

    Returns:
        dict: Blocks, by the kind of a convolution and the bit length of its number of rows.
    """
    found: dict = {}
    for kernel, stride, links, out_channels, padded, bits, blocks in tables.read().get(
        'blocks', []
    ):
        kind = (kernel, stride, tuple(links), out_channels, padded)
        found.setdefault(kind, {})[bits] = Blocks(*blocks)
    return found


def candidates(conv, rows):
    """Return candidates for the fastest blocks, likely ones first."""
    found = _of_taps(conv, rows, 1)
    if conv.kernel == 3 and conv.stride == 1:  # others were measured before those of whole lines
        found += _of_taps(conv, rows, 3)
    return found


def _of_taps(conv, rows, taps):
    """Return the candidates with this number of taps of a step."""
    windows = {inner: conv.windows(inner) for inner in (32, 64) if inner <= conv.reach}
    least = min(number * inner for inner, number in windows.items())
    found = []
    for inner, number in sorted(windows.items(), reverse=True):
        steps = number * conv.kernel**2 // taps
        if number * inner <= 1.36 * least:
            for out in _outs(conv.out_channels)[: 4 if taps == 1 else 3]:
                for block in (128, 256) if rows > 20_000 else (64, 128):
                    if block * sum(out) <= MOST_SUMS[taps]:
                        tiles = -(-conv.out_channels // sum(out)) * -(-rows // block)
                        found += _cut(conv, (block, *out, inner, taps), tiles, steps)
    return found


def _outs(channels):
    """Return the output blocks that waste the fewest channels, with a penalty per tile."""

    def waste(out):
        tiles = -(-channels // sum(out))
        return tiles * sum(out) * (1 + 0.15 * (tiles - 1))

    # a second block for channels that the first one leaves
    there = [out for out in OUTS if not out[1] or out[0] < channels]
    return sorted(there, key=waste)[:4]


def _cut(conv, sizes, tiles, steps):
    """Yield blocks of given sizes with different numbers of splits and of prefetched steps."""
    rows, out, out2, inner, taps = sizes
    memory = (rows + taps * (out + out2)) * inner * 2
    there = shared_memory()
    if 2 * memory > there:
        return
    warps = 8 if taps * rows * (out + out2) > FEW_SUMS[taps] else 4
    # programs that are alone on their multiprocessor load further ahead
    for splits in (1, 2, 4):
        if splits > 1 and (tiles * splits > 200 or steps * taps < 16 * splits):
            continue
        waves = tiles * splits / MULTIPROCESSORS
        depths = {}
        for share in (1,) if waves <= 1 else (2, 1) if waves <= 3 else (3, 2):
            stages = min(there // share // memory, 8 if share == 1 else 5)
            depths[max(min(stages, steps // splits), 2)] = share
        for stages in depths:
            yield Blocks(rows, out, out2, inner, splits, warps, stages, accelerates(conv), taps)


@functools.cache
def shared_memory():
    """Return the shared memory per program of this GPU, in bytes; on a CPU, that of a Hopper."""
    if not torch.cuda.is_available():
        return SHARED_MEMORY
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    # 99 KiB are the least of the GPUs that compute here
    there = getattr(properties, 'shared_memory_per_block_optin', 99 * 1024)
    return min(SHARED_MEMORY, there - 2048)


def accelerates(conv):
    """Return whether the tensor memory accelerator can load a convolution's input."""
    hopper = not torch.cuda.is_available() or torch.cuda.get_device_capability() >= (9, 0)
    return hopper and conv.stride == 1


def choose(measured):
    """Use the given blocks from now on in this process.

    Args:
        measured (dict): Blocks, by the keys that :func:`noted` yields.
    """
    _chosen.update(measured)


@contextlib.contextmanager
def noted():
    """Record the convolutions that are computed within the context.

    Yields:
        dict: The arguments of :func:`blocks_for`, by kind of convolution and number of rows.
    """
    global _noted
    _noted = {}
    try:
        yield _noted
    finally:
        _noted = None


def measure(conv, maps, out, padded, geometry=None, runs=6):
    """Measure the candidates' times on this GPU.

    Returns:
        list[tuple[float, Blocks]]: Microseconds of a run within a CUDA graph, fastest first.
    """
    found = []
    for blocks in candidates(conv, (geometry or maps).rows):
        try:
            run = functools.partial(conv, maps, out, padded, blocks, geometry)
            found.append((_time_of(run, runs), blocks))
        except Exception as error:  # of Triton's compiler, of many kinds
            warnings.warn(f'{blocks} cannot be computed: {error}', stacklevel=2)
    return sorted(found)


def _time_of(function, runs):
    function()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(runs):
            function()
    graph.replay()
    times = []
    for _ in range(3):  # the least, because others may use the machine
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return min(times) / runs * 1000
