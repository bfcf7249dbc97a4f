"""Compile the Triton kernels for a GPU that is not there: `python compile_kernels.py 90 float16`.

Prints, for each kernel, its name and the matrix instruction it uses. With a third argument, these
are the kernels that are used only where they were measured to be faster: steps of whole lines, and
dependent launches where the GPU has them. Then it prints how these wait, too.
"""

import re
import sys
from types import SimpleNamespace

import torch

CAPABILITY, DTYPE = int(sys.argv[1]), getattr(torch, sys.argv[2])
MEASURED = len(sys.argv) > 3
SHARED_MEMORY = {80: 163 * 1024, 90: 227 * 1024}  # bytes of a program, at most
# What the kernels' module and its tables ask, before they are imported.
torch.cuda.is_available = lambda: True
torch.cuda.current_device = lambda: 0
torch.cuda.get_device_capability = lambda *_: divmod(CAPABILITY, 10)
torch.cuda.get_device_properties = lambda _: SimpleNamespace(
    shared_memory_per_block_optin=SHARED_MEMORY[CAPABILITY]
)

import triton  # noqa: E402
from torch import nn  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.runtime.jit import JITFunction  # noqa: E402

from hardnet_mm.deploy import FusedConv  # noqa: E402
from hardnet_mm.kernels.triton import launches, tuning  # noqa: E402
from hardnet_mm.kernels.triton.image_conv import ImageConv  # noqa: E402
from hardnet_mm.kernels.triton.linked_conv import LinkedConv  # noqa: E402
from hardnet_mm.kernels.triton.padded_maps import PaddedMaps  # noqa: E402
from hardnet_mm.kernels.triton.pool import Pool, pool_into  # noqa: E402

SLOT = 16
MATRIX_INSTRUCTION = re.compile(r'\b(wgmma|tcgen05\.mma|mma)\b')


class Driver:
    """Of a GPU that is not there: the compiler asks no more than this."""

    def get_current_target(self):
        return GPUTarget('cuda', CAPABILITY, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 0


def compile_only(function, *args, grid, warmup, **kwargs):
    ptx = launch(function, *args, grid=grid, warmup=True, **kwargs).asm['ptx']
    found = MATRIX_INSTRUCTION.search(ptx)
    waits = re.findall(r'griddepcontrol\.wait|wgmma\.wait_group\.sync\.aligned \d+', ptx)
    waits = [wait.rpartition('.')[2].replace('aligned ', '') for wait in waits] if MEASURED else []
    print(function.__name__, found[1] if found else '-', *waits, flush=True)


launch, JITFunction.run = JITFunction.run, compile_only
triton.runtime.driver.set_active(Driver())


def linked_conv(change, kernel=3, padded=True, shape=(1, 64, 64)):
    """Compile one for the blocks that would be chosen untuned, or for others like them."""
    maps = PaddedMaps(shape, 1, 192, torch.empty(0, dtype=DTYPE))
    weight, bias = torch.zeros(96, 160, kernel, kernel, dtype=DTYPE), torch.zeros(96, dtype=DTYPE)
    conv = LinkedConv(weight, bias, nn.ReLU6(), [(0, 96), (128, 64)], 1, SLOT)
    out = maps.buffer if padded else maps.buffer.new_empty(maps.rows, conv.out_channels)
    blocks = tuning.candidates(conv, maps.rows)
    conv(maps, out, padded, next(found for found in blocks if change(found)), maps)


def others():
    """Compile those that are the same for all blocks."""
    images = torch.empty(1, 3, 64, 64)
    stem = nn.Conv2d(3, 32, 3, 2, 1).to(DTYPE)
    ImageConv(FusedConv(stem, act=nn.ReLU6()))(images, PaddedMaps((1, 32, 32), 1, 32, stem.weight))
    x = torch.empty(1, 16, 64, 64, dtype=DTYPE).to(memory_format=torch.channels_last)
    pool_into(PaddedMaps((1, 32, 32), 1, 16, x), 16, x, Pool(2, 2))


if MEASURED:
    linked_conv(lambda blocks: blocks.taps == 3 and blocks.splits == 1 and blocks.out2 == 0)
    with launches.made(CAPABILITY >= 90):
        linked_conv(lambda blocks: blocks.taps == 3 and blocks.splits > 1 and blocks.out2 > 0)
        linked_conv(lambda blocks: blocks.splits == 1, kernel=1, padded=False)
        others()
else:
    linked_conv(lambda blocks: blocks.splits == 1 and blocks.out2 == 0)
    linked_conv(lambda blocks: blocks.splits > 1 and blocks.out2 > 0)
    linked_conv(lambda blocks: blocks.splits == 1, kernel=1, padded=False)
    others()
