"""mmcv's CUDA kernels, compiled for this CPU from the sources that come with mmcv.

Each kernel runs as one thread of one block: a loop over its work.
"""

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import mmcv
import pytest
import torch

SOURCES = Path(mmcv.__file__).parent / 'ops/csrc/common/cuda'
COMPILER = shutil.which('c++') or shutil.which('g++') or shutil.which('clang++')
# What the CUDA compiler has and a C++ compiler has not.
CUDA = """
#include <algorithm>
#include <cmath>
using std::isinf;
using std::isnan;
using std::max;
using std::min;
#define __device__
#define __global__
#define __restrict__
#define __shared__ static
#define __syncthreads()
struct Place { int x, y, z; };
static const Place threadIdx{0, 0, 0}, blockDim{1, 1, 1}, gridDim{1, 1, 1};
static Place blockIdx{0, 0, 0};
template <typename T> void atomicAdd(T* place, T value) { *place += value; }
"""


@functools.cache
def compiled(source, function):
    """Return a function of a kernel's source, which takes tensors and numbers.

    Args:
        source (str): Name of a file of mmcv's sources.
        function (str): C++ code of a function named ``call`` that calls the kernel.
    """
    if COMPILER is None or not (SOURCES / source).is_file():
        pytest.skip("needs a C++ compiler and mmcv's sources of its CUDA kernels")
    folder = Path(tempfile.mkdtemp(prefix='mmcv-kernel-'))
    (folder / 'cuda.h').write_text('')
    (folder / 'pytorch_cuda_helper.hpp').write_text(CUDA + '#include "common_cuda_helper.hpp"\n')
    (folder / 'kernel.cpp').write_text(f'#include "{source}"\nextern "C" void {function}\n')
    library = folder / 'kernel.so'
    command = [COMPILER, '-O1', '-w', '-shared', '-fPIC', f'-I{folder}', f'-I{SOURCES}', '-o']
    made = subprocess.run(
        [*command, library, folder / 'kernel.cpp'], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    call = ctypes.CDLL(str(library)).call
    shutil.rmtree(folder)

    def run(*args):
        assert all(a.is_contiguous() for a in args if isinstance(a, torch.Tensor))
        call(*(ctypes.c_void_p(a.data_ptr()) if isinstance(a, torch.Tensor) else a for a in args))

    return run
