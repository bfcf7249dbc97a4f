"""Two and four processes compute what one does with the same images in a batch."""

import os
import pickle

import pytest
import torch
from helpers import tool_process
from mmengine.config import ConfigDict

from hardnet_mm.utils.configs import read_config

CONFIGS = dict(
    ssd='ssd_hardnet',
    rfb='rfb_hardnet',
    centernet='centernet_hardnet',
    fchardnet='fchardnet70',
    mseg='mseg_hardnet',
    classifier='hardnet39ds',
)
BATCH, IMAGES = 4, 11
# Several processes have as many images each: the first ones fill the last batch up.
FILLED = [*range(IMAGES), 0]


@pytest.fixture(scope='module')
def crops(root, run_tool, tmp_path_factory):
    """A few of the digits alone, by class."""
    folder = tmp_path_factory.mktemp('data') / 'crops'
    options = '--tasks classification --train-crops 12 --val-crops 10'.split()
    run_tool('dataset_converters/digits.py', '--out-dir', folder, *options)
    return folder / 'crops'


@pytest.fixture(scope='module')
def make_config(root, digits, crops):
    """Return a function that writes a config of three batches, without chance, into a folder."""

    def make(name, processes, folder):
        cfg = read_config(str(root / f'configs/digits/{CONFIGS[name]}_digits.py'))
        data = str(crops if name == 'classifier' else digits) + '/'
        for part in ('train', 'val', 'test'):
            loader = cfg[f'{part}_dataloader']
            loader.update(num_workers=0, persistent_workers=False)
            loader.dataset.data_root = data
            loader.dataset.indices = 5  # processes have two or three of them, or one or two
        loader = cfg.train_dataloader
        loader.batch_size = BATCH // processes
        loader.sampler = dict(type='DefaultSampler', shuffle=False)
        loader.dataset.indices = FILLED if processes == 1 else IMAGES
        if name == 'mseg':
            cfg.train_cfg.sizes = (96, 64)
        for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
            if 'ann_file' in evaluator:
                evaluator.ann_file = data + 'annotations/val.json'
        dump = dict(type='DumpResults', out_file_path=str(folder / 'predictions.pkl'))
        cfg.val_evaluator = [cfg.val_evaluator, dump]
        # Adam makes as much of a gradient that is all rounding as of any other
        optimizer = dict(type='SGD', lr=2e-4, momentum=0.9)
        cfg.optim_wrapper = {**cfg.optim_wrapper, 'optimizer': ConfigDict(optimizer)}
        cfg.train_cfg.update(max_epochs=1, val_interval=2)
        cfg.param_scheduler = []
        cfg.randomness = dict(seed=0)
        cfg.custom_imports = dict(imports=['hardnet_mm', 'helpers.global_batch'])
        cfg.custom_hooks = [dict(type='GlobalBatchHook', folder=str(folder))]
        cfg.dump(folder / 'config.py')
        return folder / 'config.py'

    return make


@pytest.fixture(scope='module')
def trained(root, make_config, tmp_path_factory):
    """Return a function that evaluates and trains a system in some processes."""
    found = {}

    def train(name, processes):
        if (name, processes) not in found:
            folder = tmp_path_factory.mktemp(f'{name}-{processes}')
            config = make_config(name, processes, folder)
            given = [str(config), '--work-dir', str(folder / 'work')]
            given += ['--launcher', 'pytorch'] if processes > 1 else []
            environment = dict(os.environ, OMP_NUM_THREADS='1')
            script = str(root / 'tools/train.py')
            tool_process.run_ranks(processes, script, given, environment, folder, 900)
            predictions = pickle.loads((folder / 'predictions.pkl').read_bytes())
            results = torch.load(folder / 'found.pth', weights_only=False)
            found[name, processes] = results, predictions
        return found[name, processes]

    return train


def moved(results):
    return {key: value - results['start'][key] for key, value in results['end'].items()}


def distances(root, folder, *arguments):
    """Run a step of each system in two processes; see :mod:`helpers.rank_step`."""
    script = str(root / 'tests/helpers/rank_step.py')
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    tool_process.run_ranks(2, script, list(arguments), environment, folder, 900)
    output = (folder / 'rank0.txt').read_text()
    return {
        line.split()[1]: float(line.split()[2])
        for line in output.splitlines()
        if line.startswith(arguments[0])
    }


def test_losses_are_divided_by_the_whole_batch(root, tmp_path):
    """Detectors divide by positives, of which the two images have different numbers."""
    found = distances(root, tmp_path, 'ddp', 'small', 'ssd', 'centernet')
    assert len(found) == 2 and max(found.values()) < 1e-2, found


@pytest.mark.slow
def test_shards_of_the_85_train_as_a_whole(root, tmp_path):
    """By FSDP; PyTorch's gloo has no reduce_scatter before 2.6 or so."""
    found = distances(root, tmp_path, 'fsdp', 'published', 'classifier')
    assert len(found) == 1 and max(found.values()) < 1e-2, found


@pytest.mark.slow
@pytest.mark.parametrize('processes', [2, 4])
@pytest.mark.parametrize('name', CONFIGS)
def test_losses_and_weights_are_those_of_one_process(trained, name, processes):
    """To a hundredth of how far training moved each weight's tensor, rounding aside."""
    wanted, _ = trained(name, 1)
    found, _ = trained(name, processes)
    assert len(found['losses']) == 3 * (2 if name == 'mseg' else 1)
    assert found['losses'] == pytest.approx(wanted['losses'], rel=1e-4)
    torch.testing.assert_close(found['start'], wanted['start'], rtol=0, atol=0)
    steps = moved(found)
    for key, step in moved(wanted).items():
        rounding = 1e-6 * wanted['end'][key].norm()
        assert (steps[key] - step).norm() <= 1e-2 * step.norm() + rounding, key
    print(name, processes, wanted['losses'])
    assert all(step.norm() > 0 for step in steps.values() if step.ndim > 1)


@pytest.mark.slow
@pytest.mark.parametrize('processes', [2, 4])
@pytest.mark.parametrize('name', CONFIGS)
def test_evaluation_is_that_of_one_process(trained, name, processes):
    """Five images, of which some processes have one more: none is counted twice, none is lost."""
    wanted, all_wanted = trained(name, 1)
    found, predictions = trained(name, processes)
    assert found['metrics'] == pytest.approx(wanted['metrics'], abs=1e-6)
    assert len(predictions) == len(all_wanted) == 5
    for one, other in zip(predictions, all_wanted):
        assert_like(one, other)


def assert_like(found, wanted):
    assert type(found) is type(wanted)
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert_like(found[key], value)
    elif isinstance(wanted, torch.Tensor):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    elif not isinstance(wanted, list | tuple):
        assert found == wanted
