"""A real cycle of a segmentor: training, evaluation, drawn overlays, test-time augmentation."""

import importlib.util
import re

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

CONFIG = 'configs/digits/fchardnet70_digits.py'
MSEG = 'configs/digits/mseg_hardnet_digits.py'


@pytest.fixture(scope='module')
def options(digits):
    return [
        '--cfg-options',
        f'train_dataloader.dataset.data_root={digits}/',
        f'val_dataloader.dataset.data_root={digits}/',
        f'test_dataloader.dataset.data_root={digits}/',
        'train_dataloader.batch_size=4',
        'default_hooks.logger.interval=1',
        'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1',
    ]


def test_trains_tests_and_draws(root, run_tool, options, tmp_path):
    work_dir = tmp_path / 'work'
    output = run_tool('train.py', root / CONFIG, '--work-dir', work_dir, *options)
    assert 'decode.loss_bootstrapped' in output and 'mIoU' in output
    checkpoint = work_dir / 'epoch_1.pth'
    shown = tmp_path / 'shown'
    arguments = ('--work-dir', tmp_path / 'test', '--show-dir', shown, '--tta')
    output = run_tool('test.py', root / CONFIG, checkpoint, *arguments, *options)
    assert 'mIoU' in output
    assert len(list(shown.rglob('*.png'))) == 6


@pytest.fixture(scope='module')
def trained(root, run_tool, options, tmp_path_factory):
    """The checkpoint of a model of one foreground, of digits, and what its training printed."""
    work_dir = tmp_path_factory.mktemp('work')
    output = run_tool('train.py', root / MSEG, '--work-dir', work_dir, *options)
    return work_dir / 'epoch_1.pth', output


def test_one_foreground_trains_tests_and_predicts(root, run_tool, options, trained):
    """Each of three batches at three sizes, as the log counts."""
    checkpoint, output = trained
    assert 'decode.loss_structure' in output and '[9/9]' in output and 'acc_seg' not in output
    plain = measured(output)
    assert {'mDice', 'mIoU', 'F2', 'maxDice', 'meanIoU'} <= plain.keys()
    flipped = measured(run_tool('test.py', root / MSEG, checkpoint, '--tta', *options))
    assert flipped != plain and abs(flipped['maxDice'] - plain['maxDice']) < 10

    from mmseg.apis import MMSegInferencer

    image = np.random.default_rng(0).integers(0, 255, (100, 75, 3), dtype=np.uint8)
    segment = MMSegInferencer(str(root / MSEG), str(checkpoint), device='cpu')
    assert segment.model.dataset_meta['classes'] == ('background', 'digit')
    prediction = segment(image)['predictions']
    assert prediction.shape == (100, 75) and set(np.unique(prediction)) <= {0, 1}


@pytest.mark.slow
def test_one_foreground_is_tested_from_a_file(root, run_tool, options, trained, tmp_path):
    checkpoint, output = trained
    file = tmp_path / 'model.torchscript'
    export = (root / MSEG, checkpoint, '--format', 'torch', '--out', file)
    run_tool('export.py', *export, *options)
    exported, plain = measured(run_tool('test.py', root / MSEG, file, *options)), measured(output)
    names = ('mDice', 'mIoU', 'Precision', 'Recall', 'F2', 'Accuracy')
    assert {name: exported[name] for name in names} == {name: plain[name] for name in names}


def measured(output):
    """The figures in the last line of a log that has them."""
    (*_, line) = (line for line in output.splitlines() if 'mDice' in line)
    found = re.findall(r'(\w+): ([\d.]+)', line[line.index('mDice') :])
    return {name: float(value) for name, value in found if 'time' not in name}


def test_augmented_predictions_meet_the_upright_ground_truth(root, digits):
    spec = importlib.util.spec_from_file_location('tool', root / 'tools/test.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    init_default_scope('mmseg')
    from mmseg.registry import DATASETS

    cfg = Config.fromfile(root / CONFIG)
    cfg.test_dataloader.dataset.data_root = f'{digits}/'
    plain = DATASETS.build(cfg.test_dataloader.dataset)[0]['data_samples']
    tool.augment(cfg)
    first, second = DATASETS.build(cfg.test_dataloader.dataset)[0]['data_samples']
    truths = [s.gt_sem_seg.data.numpy() for s in (plain, first, second)]
    np.testing.assert_array_equal(truths[1], truths[0])
    np.testing.assert_array_equal(truths[2], truths[0][..., ::-1])
    assert (first.flip, second.flip) == (False, True)
