"""Thousands of predictions and hundreds of checkpoints: memory, handles and files stay as few."""

import gc
import os
import tempfile
from pathlib import Path

import pytest
import torch
from helpers.exported import changed, deployed, in_pytorch, skip_without
from mmengine.runner import CheckpointLoader, save_checkpoint

from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.writing import export

PREDICTIONS = int(os.environ.get('HARDNET_PREDICTIONS', 20_000))
CHECKPOINTS = 500
# Allocators keep what they had for the largest image; what leaks grows with the predictions.
BOUND = 64  # MiB
SIDES = (32, 40, 48, 56, 64, 80, 96)

# As few layers as show every kind, since nothing that leaks does so by the width of a layer.
ARCH = dict(
    stem_channels=(8, 16),
    depthwise=True,
    growth_multiplier=1.6,
    growth_rates=(8, 12),
    num_layers=(4, 4),
    transition_channels=(24, 32),
    downsample=(1, 0),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='asks Linux for its memory'),
]


@pytest.fixture(scope='module')
def small(models):
    backbone = dict(arch=dict(_delete_=True, **ARCH), out_indices=(1,))
    return changed(models, 'hardnet39ds', model__backbone=backbone, model__head__in_channels=32)[0]


def resident():
    """Return this process's memory in MiB."""
    gc.collect()
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def handles():
    return len(os.listdir('/proc/self/fd'))


def images_of(number):
    """Return the images of a prediction: sizes change each time, and come again."""
    height, width = (SIDES[(number * step) % len(SIDES)] for step in (1, 3))
    generator = torch.Generator().manual_seed(height * 1000 + width)
    count = number % 2 + 1
    return torch.randint(0, 256, (count, 3, height, width), generator=generator).float().numpy()


def assert_steady(predict, free=True):
    """The outputs of the first images are the last's, bit by bit; a tenth of all warms up."""
    numbers = range(PREDICTIONS)
    first = [predict(images_of(number if free else 0)) for number in range(21)]
    for number in numbers[: PREDICTIONS // 10]:
        predict(images_of(number if free else 0))
    memory, open_before = resident(), handles()
    for number in numbers:
        predict(images_of(number if free else 0))
    grown = resident() - memory
    print(f'{PREDICTIONS} predictions: {grown:.1f} MiB more')
    assert grown < BOUND and handles() <= open_before
    for number, wanted in enumerate(first):
        found = predict(images_of(number if free else 0))
        for name, value in wanted.items():
            assert (found[name] == value).all(), name


def test_the_deploy_form(small):
    assert_steady(in_pytorch(deployed(small)))


@pytest.mark.parametrize('name', FORMATS)
def test_a_runtime(small, tmp_path, name):
    """Small images of a classifier; ncnn's files, of one size, at one size."""
    skip_without(name)
    end_to_end = deployed(small, 'network')
    path = tmp_path / f'model{FORMATS[name].suffix}'
    export(end_to_end, torch.from_numpy(images_of(0)), path, name)
    assert_steady(load(path), FORMATS[name].any_size)


def test_checkpoints_leave_nothing(models, tmp_path, monkeypatch):
    model, _ = models('hardnet39ds')
    path, temporary = tmp_path / 'saved/model.pth', tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
    wanted = model.state_dict()
    for number in range(CHECKPOINTS):
        save_checkpoint(dict(state_dict=wanted, meta=dict(number=number)), str(path))
        found = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
        if number == 10:
            memory, open_before = resident(), handles()
    assert found['meta']['number'] == CHECKPOINTS - 1
    torch.testing.assert_close(found['state_dict'], wanted, rtol=0, atol=0)
    assert os.listdir(path.parent) == ['model.pth'] and not os.listdir(temporary)
    assert handles() <= open_before and resident() - memory < BOUND
