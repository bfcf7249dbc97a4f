"""One real cycle of training, evaluation, resuming and testing, in one process and in two."""

import json
import os
import pickle
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from helpers import tool_process

from hardnet_mm.checkpoints.safe_types import checkpoint_types

CONFIG = 'configs/digits/ssd_hardnet_digits.py'


@pytest.fixture(scope='module')
def options(digits):
    """Settings that shrink the digits config to seconds."""
    return [
        '--cfg-options',
        f'train_dataloader.dataset.data_root={digits}/',
        f'val_dataloader.dataset.data_root={digits}/',
        f'test_dataloader.dataset.data_root={digits}/',
        f'val_evaluator.ann_file={digits}/annotations/val.json',
        f'test_evaluator.ann_file={digits}/annotations/val.json',
        'train_dataloader.batch_size=4',
        'default_hooks.logger.interval=1',
        'train_cfg.val_interval=1',
    ]


@pytest.fixture(scope='module')
def trained(root, run_tool, options, tmp_path_factory):
    """The work dir of one epoch."""
    work_dir = tmp_path_factory.mktemp('work') / 'one'
    output = run_tool(
        *('train.py', root / CONFIG, '--work-dir', work_dir, *options, 'train_cfg.max_epochs=1'),
        fresh=True,
    )
    assert 'bbox_mAP' in output
    return work_dir


def scalars(work_dir):
    """Every line that training logged, of all runs in the work dir."""
    paths = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_training_logs_losses_and_saves(trained):
    losses = [line['loss'] for line in scalars(trained) if 'loss' in line]
    assert len(losses) == 3
    assert (trained / 'epoch_1.pth').is_file()


@pytest.mark.skipif(
    not hasattr(torch.serialization, 'safe_globals'), reason='torch before 2.6 has no allow-list'
)
def test_checkpoint_loads_with_weights_only(trained):
    with torch.serialization.safe_globals(checkpoint_types()):
        loaded = torch.load(trained / 'epoch_1.pth', weights_only=True)
    assert {'state_dict', 'optimizer', 'param_schedulers', 'message_hub'} <= loaded.keys()


def test_resume_goes_on_where_it_stopped(root, run_tool, options, trained):
    output = run_tool(
        'train.py',
        root / CONFIG,
        '--work-dir',
        trained,
        '--resume',
        *options,
        'train_cfg.max_epochs=2',
    )
    assert 'resumed epoch: 1, iter: 3' in output
    steps = [line['step'] for line in scalars(trained) if 'loss' in line]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert (trained / 'epoch_2.pth').is_file()


def test_a_full_disk_leaves_the_last_checkpoint(root, run_tool, options, trained, tmp_path):
    """Though one only is kept, which mmengine would have removed before it saved the next."""
    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    shutil.copy(trained / 'epoch_1.pth', work_dir)
    before = (work_dir / 'epoch_1.pth').read_bytes()
    output = run_tool(
        *('train.py', root / CONFIG, '--work-dir', work_dir, '--resume', *options),
        *('train_cfg.max_epochs=2', 'default_hooks.checkpoint.max_keep_ckpts=1'),
        'custom_imports.imports=[hardnet_mm.det,helpers.small_disk]',
        fails=True,
    )
    last = output.splitlines()[-1]
    assert last == f'train.py: error: File too large: {work_dir}/epoch_2.pth'
    assert [path.name for path in work_dir.glob('*.pth*')] == ['epoch_1.pth']
    assert (work_dir / 'epoch_1.pth').read_bytes() == before


@pytest.mark.parametrize(
    'number', [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_a_signal_ends_training_and_its_workers(root, options, tmp_path, number):
    arguments = [root / CONFIG, '--work-dir', tmp_path / 'work', *options]
    arguments += ['train_cfg.max_epochs=1000', 'val_evaluator.metric=bbox']
    process = tool_process.start(
        str(root / 'tools/train.py'),
        list(map(str, arguments)),
        dict(os.environ, OMP_NUM_THREADS='1'),
        None,
        tmp_path / 'output.txt',
    )
    until(lambda: len(scalars(tmp_path / 'work')) > 1, process)
    workers = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == 128 + number
    output = (tmp_path / 'output.txt').read_text()
    assert output.splitlines()[-1] == f'train.py: stopped by {number.name}'
    # a worker that was handing over a batch may say that nobody took it
    starts = re.findall(r'Traceback .*\n.*?([^/"]+)", line', output)
    assert set(starts) <= {'resource_sharer.py'}
    assert workers and not any(map(is_running, workers))


def until(condition, process, seconds=120):
    """Wait for a condition while a process runs."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.exitcode is None and time.monotonic() < end
        time.sleep(0.05)


def is_running(pid):
    """Whether a process is there, and no zombie that nobody asked for."""
    stat = Path(f'/proc/{pid}/stat')
    return stat.exists() and stat.read_text().rpartition(')')[2].split()[0] != 'Z'


def test_test_draws_and_dumps(root, run_tool, options, trained, tmp_path):
    arguments = (
        *(root / CONFIG, trained / 'epoch_1.pth', '--work-dir', tmp_path / 'work'),
        *('--show-dir', tmp_path / 'shown', '--out', tmp_path / 'predictions.pkl', '--tta'),
    )
    output = run_tool('test.py', *arguments, *options)
    assert 'coco/bbox_mAP' in output
    assert len(list((tmp_path / 'shown').glob('*.jpg'))) == 6
    predictions = pickle.loads((tmp_path / 'predictions.pkl').read_bytes())
    assert len(predictions) == 6
    assert 'must be a new file' in run_tool('test.py', *arguments, *options, fails=True)


@pytest.mark.slow
def test_two_processes_train(root, run_tool, options, tmp_path):
    work_dir = tmp_path / 'two'
    shared = [option for option in options if 'batch_size' not in option]
    settings = [*shared, 'train_cfg.max_epochs=1', 'auto_scale_lr.base_batch_size=4']
    output = run_tool('dist_train.sh', root / CONFIG, 2, '--work-dir', work_dir, *settings)
    assert 'Distributed training: True' in output
    assert '2 processes train on 2 images each, 4 in all' in output
    losses = [line['loss'] for line in scalars(work_dir) if 'loss' in line]
    assert len(losses) == 3  # 12 images, 2 processes, 2 images each
    assert (work_dir / 'epoch_1.pth').is_file()


@pytest.mark.slow
def test_two_processes_test(root, run_tool, options, trained, tmp_path):
    checkpoint = trained / 'epoch_1.pth'
    output = run_tool(
        'dist_test.sh', root / CONFIG, checkpoint, 2, '--work-dir', tmp_path / 'test', *options
    )
    assert 'coco/bbox_mAP' in output
