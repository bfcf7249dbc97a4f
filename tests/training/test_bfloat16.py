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
CLASSIFIER, DETECTOR = 'hardnet39ds', 'ssd_hardnet'
ROOMS = {CLASSIFIER: 'cls', DETECTOR: 'det'}
SETTINGS = {
    CLASSIFIER: {
        'train_dataloader.dataset.data_root': '{data}/crops',
        'val_dataloader.dataset.data_root': '{data}/crops',
    },
    DETECTOR: {
        'train_dataloader.dataset.data_root': '{data}/',
        'val_dataloader.dataset.data_root': '{data}/',
        'val_evaluator.ann_file': '{data}/annotations/val.json',
        'default_hooks.checkpoint.save_best': None,
    },
}
# of each: the metric, its factor to points, and the least that is a training to compare with
METRICS = {CLASSIFIER: ('accuracy/top1', 1, 95), DETECTOR: ('coco/bbox_mAP', 100, 75)}


@pytest.fixture(scope='module')
def data(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'digits'
    command = [sys.executable, root / 'tools/dataset_converters/digits.py', '--out-dir', folder]
    command += '--tasks detection classification'.split()
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return folder


def trained(root, data, work_dir, name, bfloat16):
    """Train a digits model, and return its metric in points."""
    settings = {key: value and value.format(data=data) for key, value in SETTINGS[name].items()}
    settings['randomness.seed'] = 0
    if bfloat16:
        settings['custom_imports.imports'] = f'[hardnet_mm.{ROOMS[name]},helpers.bfloat16]'
        settings['optim_wrapper.type'] = 'Bfloat16OptimWrapper'
    options = [f'{key}={value}' for key, value in settings.items()]
    command = [root / f'configs/digits/{name}_digits.py', '--work-dir', work_dir]
    command += ['--cfg-options', *options]
    output = work_dir.with_suffix('.txt')
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    status = tool_process.run(
        str(root / 'tools/train.py'), list(map(str, command)), environment, None, output, 3600
    )
    assert status == 0, output.read_text()[-3000:]
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    metric, points, _ = METRICS[name]
    last = [json.loads(line) for line in log.read_text().splitlines() if metric in line][-1]
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
@pytest.mark.parametrize('name', SETTINGS)
def test_within_two_points_of_float32(root, data, tmp_path, name):
    found = {
        bfloat16: trained(root, data, tmp_path / str(bfloat16), name, bfloat16)
        for bfloat16 in (False, True)
    }
    print(name, found)
    assert found[False] > METRICS[name][2] and abs(found[True] - found[False]) < POINTS, found
