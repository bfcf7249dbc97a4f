"""Which blocks of work a linked convolution is cut into."""

import itertools

import torch

from .linked_conv import Blocks

OUTS = ((16, 0), (32, 0), (64, 0), (128, 0), (256, 0), (16, 16), (32, 16), (64, 16), (64, 32)) + (
    (128, 16),
    (128, 32),
    (128, 64),
)


SHARED_MEMORY = 220_000  # bytes of a multiprocessor, for Hopper


def candidates(conv, rows, width, multiprocessors=132):
    """Return blocks that may be the fastest."""
    found = []
    needed = conv.out_channels
    channels = sum(number for _, number in conv.links)
    least = min(-(-needed // (a + b)) * (a + b) for a, b in OUTS if a + b >= min(needed, 64) / 2)
    for (out, out2), block_rows, inner in itertools.product(OUTS, (64, 128, 256), (32, 64)):
        tiles_out = -(-needed // (out + out2))
        area = block_rows * (out + out2)
        if tiles_out * (out + out2) > 1.35 * max(least, needed) or tiles_out > 8 or inner > width:
            continue
        if not 64 * 16 <= area <= 256 * 128 or (block_rows == 256 and rows < 20000):
            continue
        if block_rows == 64 and rows > 200_000:
            continue
        windows = len(conv.pack(inner)[1][0]) // inner // conv.kernel**2
        if inner == 64 and windows * inner > 1.8 * channels:
            continue
        steps = windows * conv.kernel**2
        programs = tiles_out * -(-rows // block_rows)
        for splits in (1, 2, 4):
            if splits > 1 and (programs * splits > 2 * multiprocessors or steps < 8 * splits):
                continue
            per_stage = (block_rows + out + out2) * inner * 2
            waves = programs * splits / multiprocessors
            depths = set()
            for share in (1, 2, 3):  # of programs on a multiprocessor at a time
                if share == 1 or waves > share - 1:
                    stages = min(SHARED_MEMORY // share // per_stage, 8 if share == 1 else 5)
                    depths.add(min(stages, max(steps // splits, 2)))
            warps = 8 if area > 128 * 160 else 4
            for stages in depths:
                if stages >= 3 or steps < 3:
                    found.append(Blocks(block_rows, out, out2, inner, splits, warps, stages, True))
    return found


def time_of(function, runs=8):
    """Return the seconds of a run on the GPU: the least of a few."""
    function()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(runs + 1)]
    events[0].record()
    for event in events[1:]:
        function()
        event.record()
    events[-1].synchronize()
    return min(a.elapsed_time(b) for a, b in zip(events, events[1:])) / 1e3


_chosen: dict = {}


def key_of(conv, maps, padded):
    """Return what the best blocks depend on; rows count by their power of two."""
    links = tuple(width for _, width in conv.links)
    return conv.kernel, conv.stride, links, conv.out_channels, maps.rows.bit_length(), padded


def blocks_for(conv, maps, out, padded, width, geometry=None):
    """Return the blocks for a convolution: those that were measured, or a guess."""
    key = key_of(conv, maps, padded)
    if key not in _chosen:
        _chosen[key] = guess(conv, (geometry or maps).rows, width)
    return _chosen[key]


def guess(conv, rows, width):
    """Return blocks that are not far from the best."""
    inner = 64 if width >= 64 else 32
    out = next(number for number in (16, 32, 64, 128, 256) if number >= min(conv.out_channels, 128))
    accelerator = hopper() and conv.stride == 1
    return Blocks(64 if rows < 20000 else 128, out, 0, inner, 1, 4, 4, accelerator)


def hopper():
    """Return whether the GPU has a tensor memory accelerator."""
    return not torch.cuda.is_available() or torch.cuda.get_device_capability() >= (9, 0)
