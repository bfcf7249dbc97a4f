"""Trainings that are killed, and go on by --resume to the weights of one that never was."""

import os
import random
import time

import pytest
import torch
from helpers import tool_process

CONFIG = 'configs/digits/ssd_hardnet_digits.py'
EPOCHS, STEPS = 4, 12
KILLS = 10
WHILE_SAVING = 4  # of them


@pytest.fixture(scope='module')
def train(root, digits, tmp_path_factory):
    """Return a function that starts a training of seconds in a work dir, on a slow disk."""
    outputs = tmp_path_factory.mktemp('outputs')

    def start(work_dir, *arguments):
        settings = {
            'train_dataloader.dataset.data_root': f'{digits}/',
            'train_dataloader.batch_size': 4,
            'train_cfg.max_epochs': EPOCHS,
            'default_hooks.logger.interval': 1,
            'default_hooks.checkpoint.max_keep_ckpts': 1,
            'default_hooks.checkpoint.save_best': None,
            'val_cfg': None,
            'val_dataloader': None,
            'val_evaluator': None,
            'randomness.seed': 0,
            'custom_imports.imports': '[hardnet_mm.det,helpers.slow_disk]',
        }
        options = [f'{key}={value}' for key, value in settings.items()]
        command = [root / CONFIG, '--work-dir', work_dir, *arguments, '--cfg-options', *options]
        file = outputs / f'{work_dir.name}{len(list(outputs.iterdir()))}.txt'
        process = tool_process.start(
            str(root / 'tools/train.py'),
            list(map(str, command)),
            dict(os.environ, OMP_NUM_THREADS='1'),
            None,
            file,
        )
        return process, file

    return start


@pytest.fixture(scope='module')
def undisturbed(train, tmp_path_factory):
    return finished(train, tmp_path_factory.mktemp('work') / 'undisturbed')


def finished(train, work_dir, *arguments):
    """Train to the end, and return the last checkpoint."""
    process, output = train(work_dir, *arguments)
    process.join(900)
    assert process.exitcode == 0, output.read_text()[-3000:]
    return torch.load(work_dir / f'epoch_{EPOCHS}.pth', weights_only=False)


def steps(work_dir):
    """How many steps were logged."""
    return sum(
        len(path.read_text().splitlines()) for path in work_dir.glob('*/vis_data/scalars.json')
    )


def is_saving(work_dir):
    return any(work_dir.glob('*.pth.part'))


def same(one, other):
    """Whether weights and the optimizer's state are equal, to the last bit."""
    weights = one['state_dict'], other['state_dict']
    states = one['optimizer']['state'], other['optimizer']['state']
    return (
        weights[0].keys() == weights[1].keys()
        and all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
        and all(
            torch.equal(value, states[1][key][name])
            for key, parts in states[0].items()
            for name, value in parts.items()
        )
    )


@pytest.mark.slow
def test_fixed_seeds_give_equal_runs(train, undisturbed, tmp_path):
    assert same(finished(train, tmp_path / 'again'), undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize('number', range(KILLS))
def test_a_killed_training_ends_as_if_it_was_not(train, undisturbed, tmp_path, number):
    rng = random.Random(number)
    work_dir = tmp_path / 'killed'
    process, output = train(work_dir)
    step = rng.randrange(STEPS)
    end = time.monotonic() + 900
    while steps(work_dir) < step or (number < WHILE_SAVING and not is_saving(work_dir)):
        assert process.exitcode is None and time.monotonic() < end, output.read_text()[-3000:]
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.5))
    assert process.exitcode is None
    process.kill()
    process.join()
    if number < WHILE_SAVING:
        assert is_saving(work_dir)
    assert same(finished(train, work_dir, '--resume'), undisturbed)
    assert [path.name for path in work_dir.glob('*.part')] == []
