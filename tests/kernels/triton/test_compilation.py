"""The kernels compile for each kind of GPU, wherever the tests run."""

import os
import subprocess
import sys

import pytest


def compiled(root, cache, *arguments):
    """Return what the helper prints, a list of words for each kernel."""
    result = subprocess.run(
        [sys.executable, root / 'tests/helpers/compile_kernels.py', *arguments],
        env={**os.environ, 'TRITON_CACHE_DIR': str(cache), 'PYTHONPATH': str(root)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return [line.split() for line in result.stdout.splitlines()]


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
    found = compiled(root, tmp_path, str(capability), dtype)
    assert [name for name, _ in found] == [*['linked_conv'] * 3, 'image_conv', 'pool']
    assert {made for name, made in found if name == 'linked_conv'} == {instruction}


@pytest.mark.slow
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
@pytest.mark.parametrize('capability', [80, 90], ids=['Ampere', 'Hopper'])
def test_kernels_of_lines_and_dependent_launches(root, device, tmp_path, capability, dtype):
    """A step's products wait for those of the step before alone, three of them or six."""
    lines, lines_in_parts, *others = compiled(root, tmp_path, str(capability), dtype, 'measured')
    if capability == 80:
        assert lines == lines_in_parts == ['linked_conv', 'mma']
        assert all('wait' not in each for each in others)
    else:
        assert lines[:3] == ['linked_conv', 'wgmma', '3']
        assert lines_in_parts[:4] == ['linked_conv', 'wgmma', 'wait', '6']
        assert [name for name, *_ in others] == ['linked_conv', 'image_conv', 'pool']
        assert all('wait' in each for each in others)
