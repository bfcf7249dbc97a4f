"""The kernels compile for each kind of GPU, wherever the tests run."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    'capability, dtype, instruction',
    [
        pytest.param(80, 'bfloat16', 'mma', marks=pytest.mark.slow),
        (90, 'float16', 'wgmma'),
        pytest.param(90, 'bfloat16', 'wgmma', marks=pytest.mark.slow),
    ],
    ids=['Ampere', 'Hopper', 'Hopper, bfloat16'],
)
def test_kernels_compile(root, device, tmp_path, capability, dtype, instruction):
    """By Triton's own compiler and assembler, which take what the interpreter does not."""
    result = subprocess.run(
        [sys.executable, root / 'tests/helpers/compile_kernels.py', str(capability), dtype],
        env={**os.environ, 'TRITON_CACHE_DIR': str(tmp_path), 'PYTHONPATH': str(root)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found = [line.split() for line in result.stdout.splitlines()]
    assert [name for name, _ in found] == [*['linked_conv'] * 3, 'image_conv', 'pool']
    assert {made for name, made in found if name == 'linked_conv'} == {instruction}
