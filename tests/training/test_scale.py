"""Two and four processes compute what one does with the same images in a batch."""

import copy
import os
import pickle
import subprocess
import sys

import pytest
import torch
from helpers import tool_process
from mmengine.config import ConfigDict
from mmengine.model import convert_sync_batchnorm
from mmengine.utils import digit_version
from torch.nn import SyncBatchNorm
from torch.nn.modules.batchnorm import _BatchNorm

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
        if name == 'classifier':
            cfg.model.head.dropout = 0.0
        for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
            if 'ann_file' in evaluator:
                evaluator.ann_file = data + 'annotations/val.json'
        dump = dict(type='DumpResults', out_file_path=str(folder / 'predictions.pkl'))
        cfg.val_evaluator = [cfg.val_evaluator, dump]
        # Adam makes as much of a gradient that is all rounding as of any other
        optimizer = dict(type='SGD', lr=1e-5, momentum=0.9)
        cfg.optim_wrapper = {**cfg.optim_wrapper, 'optimizer': ConfigDict(optimizer)}
        cfg.train_cfg.update(max_epochs=1, val_interval=2)
        cfg.param_scheduler = []
        cfg.randomness = dict(seed=0)
        cfg.custom_imports.imports = [*cfg.custom_imports.imports, 'helpers.global_batch']
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
def test_steps_are_those_of_one_process(root, tmp_path):
    found = distances(root, tmp_path, 'ddp', 'small', 'fchardnet', 'classifier')
    assert len(found) == 2 and max(found.values()) < 1e-2, found


@pytest.mark.slow
def test_shards_of_the_85_train_as_a_whole(root, tmp_path):
    """By FSDP: each process holds half of the weights."""
    if digit_version(torch.__version__) < digit_version('2.2'):
        pytest.skip('FSDP of PyTorch 2.1 makes CUDA streams, on a CPU too')
    found = distances(root, tmp_path, 'fsdp', 'published', 'classifier')
    assert len(found) == 1 and max(found.values()) < 1e-2, found


@pytest.mark.slow
@pytest.mark.parametrize('processes', [2, 4])
@pytest.mark.parametrize('name', CONFIGS)
def test_losses_and_weights_are_those_of_one_process(trained, name, processes):
    """In three steps, of which each adds to what a ReLU or a maximum makes of rounding.

    One step alone is compared more closely, above.
    """
    wanted, _ = trained(name, 1)
    found, _ = trained(name, processes)
    assert len(found['losses']) == 3 * (2 if name == 'mseg' else 1)
    assert found['losses'] == pytest.approx(wanted['losses'], rel=2e-3)
    torch.testing.assert_close(found['start'], wanted['start'], rtol=0, atol=0)
    steps = moved(found)
    for key, step in moved(wanted).items():
        rounding = 1e-6 * wanted['end'][key].norm()
        assert (steps[key] - step).norm() <= 0.1 * step.norm() + rounding, key
    assert all(step.norm() > 0 for step in steps.values() if step.ndim > 1)


@pytest.mark.slow
@pytest.mark.parametrize('processes', [2, 4])
@pytest.mark.parametrize('name', CONFIGS)
def test_evaluation_is_that_of_one_process(trained, name, processes):
    """Five images, of which some processes have one more: none is counted twice, none is lost."""
    wanted, all_wanted = trained(name, 1)
    found, predictions = trained(name, processes)
    assert found['metrics'] == pytest.approx(wanted['metrics'], abs=0.1)  # of weights that differ
    paths = [sample['img_path'] for sample in predictions]
    assert paths == [sample['img_path'] for sample in all_wanted]
    assert len(set(paths)) == 5


@pytest.fixture
def launch(root):
    """Return a function that starts dist_train.sh for a config, as a user does."""

    def start(config, processes, *arguments, **variables):
        path = os.pathsep.join([str(root), str(root / 'tests')])
        environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=path, **variables)
        environment['PATH'] = os.path.dirname(sys.executable) + os.pathsep + environment['PATH']
        command = ['bash', root / 'tools/dist_train.sh', config, str(processes), *arguments]
        streams = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.Popen(list(map(str, command)), env=environment, **streams)

    return start


@pytest.mark.slow
@pytest.mark.parametrize('hangs', [False, True])
def test_a_process_that_fails_or_hangs_ends_all(make_config, launch, tmp_path, hangs):
    """With its error shown: without a timeout of its own, gloo waits for half an hour."""
    config = make_config('ssd', 2, tmp_path)
    text = f"custom_hooks.append(dict(type='FaultHook', hangs={hangs}))\n"
    config.write_text(config.read_text() + text + "env_cfg['dist_cfg']['timeout'] = 20\n")
    port = str(tool_process.free_port())
    process = launch(config, 2, '--work-dir', tmp_path / 'work', PORT=port)
    output, _ = process.communicate(timeout=600)
    assert process.returncode != 0
    cause = 'Timed out waiting 20000ms' if hangs else 'RuntimeError: this process fails on purpose'
    assert cause in output, output[-5000:]
    assert 'Root Cause' in output
    assert not (tmp_path / 'found.pth').exists()


@pytest.mark.slow
def test_two_launchers_train_together(make_config, launch, tmp_path, trained):
    """As two machines do."""
    config = make_config('ssd', 2, tmp_path)
    shared = dict(NNODES='2', PORT=str(tool_process.free_port()))
    launchers = [
        launch(config, 1, '--work-dir', tmp_path / f'work{node}', NODE_RANK=str(node), **shared)
        for node in range(2)
    ]
    outputs = [launcher.communicate(timeout=600)[0] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0, 0], outputs
    found, (wanted, _) = torch.load(tmp_path / 'found.pth', weights_only=False), trained('ssd', 1)
    assert found['losses'] == pytest.approx(wanted['losses'], rel=1e-4)


SYNCED = ['fchardnet70_cityscapes', 'fchardnet70-paddle_cityscapes']


@pytest.mark.parametrize('name', CONFIGS)
def test_sync_bn_reaches_every_norm(models, name):
    """That is what sync_bn=torch, as the pages have it, makes of a model on GPUs."""
    model, _ = models(f'{CONFIGS[name]}')
    norms = sum(isinstance(module, _BatchNorm) for module in model.modules())
    converted = convert_sync_batchnorm(copy.deepcopy(model), 'torch')
    synced = [module for module in converted.modules() if isinstance(module, SyncBatchNorm)]
    assert len(synced) == norms > 0


def test_configs_of_the_originals_with_several_gpus_synchronize(root):
    for name in SYNCED:
        assert read_config(str(root / f'configs/{name}.py')).sync_bn == 'torch'
