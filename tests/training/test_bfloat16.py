"""Trainings under bfloat16's autocast come to what those in float32 do."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
import torch
from helpers import tool_process
from helpers.bfloat16 import WithoutUnit
from torch import nn

POINTS = 2
# Of each config: the room that registers its parts, its metric, the factor to points, and the least
# that is a training to compare with.
TRAININGS = {
    'hardnet39ds': ('cls', 'accuracy/top1', 1, 95),
    'ssd_hardnet': ('det', 'coco/bbox_mAP', 100, 75),
    'rfb_hardnet': ('det', 'coco/bbox_mAP', 100, 75),
    'centernet_hardnet': ('det', 'coco/bbox_mAP', 100, 75),
    'fchardnet70': ('seg', 'mIoU', 1, 80),
    'mseg_hardnet': ('seg', 'mDice', 1, 90),
}


@pytest.fixture(scope='module')
def folder(root, tmp_path_factory):
    """A folder with the digits in data/digits, where the configs look for them."""
    folder = tmp_path_factory.mktemp('digits')
    command = [sys.executable, str(root / 'tools/dataset_converters/digits.py')]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def trained(root, folder, work_dir, name, bfloat16):
    """Train a digits model, and return its metric in points."""
    room, metric, points, _ = TRAININGS[name]
    options = ['randomness.seed=0']
    if bfloat16:
        options.append(f'custom_imports.imports=[hardnet_mm.{room},helpers.bfloat16]')
        options.append('optim_wrapper.type=Bfloat16OptimWrapper')
    command = [root / f'configs/digits/{name}_digits.py', '--work-dir', work_dir]
    command += ['--cfg-options', *options]
    output = work_dir.with_suffix('.txt')
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    status = tool_process.run(
        str(root / 'tools/train.py'), list(map(str, command)), environment, folder, output, 7200
    )
    assert status == 0, output.read_text()[-3000:]
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    last = [json.loads(line) for line in log.read_text().splitlines() if f'"{metric}"' in line][-1]
    return last[metric] * points


def test_convolutions_are_those_of_autocast():
    """Both round sums of the same products to bfloat16, whatever their order."""
    torch.manual_seed(0)
    conv, images = nn.Conv2d(4, 5, 3, padding=1), torch.randn(2, 4, 6, 7, requires_grad=True)
    results = []
    for mode in (contextlib.nullcontext(), WithoutUnit()):
        with torch.autocast('cpu', torch.bfloat16), mode:
            outputs = conv(images)
        gradients = torch.autograd.grad(outputs.float().square().sum(), [images, conv.weight])
        results.append([outputs, *gradients])
    assert results[1][0].dtype == torch.bfloat16
    for one, other in zip(*results):
        torch.testing.assert_close(one, other, rtol=0, atol=0.02 * one.abs().max().item())


@pytest.mark.slow
@pytest.mark.parametrize('name', TRAININGS)
def test_within_two_points_of_float32(root, folder, tmp_path, name):
    found = {
        bfloat16: trained(root, folder, tmp_path / str(bfloat16), name, bfloat16)
        for bfloat16 in (False, True)
    }
    print(name, found)
    assert found[False] > TRAININGS[name][-1] and abs(found[True] - found[False]) < POINTS, found
