import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import tool_process

from hardnet_mm.kernels.cpu import capabilities

pytest_plugins = ['helpers.server']

TESTS = Path(__file__).parent
ROOT = TESTS.parent


# What can be taken away from a CPU, so that one machine shows what others would do.
LACKING = ('onednn', 'onednn-convolutions', 'bfloat16')


def pytest_addoption(parser):
    parser.addoption('--lacking', choices=LACKING, help='run on a CPU without this')
    parser.addoption(
        '--device',
        choices=('cuda', 'cpu'),
        default='cuda',
        help='where the tests of tests/cuda run; cpu tries the tests themselves',
    )
    parser.addoption(
        '--published', action='store_true', help='tests/cuda: published models, not the digits'
    )
    parser.addoption(
        '--all-swaps', action='store_true', help='tests/cuda: every config of the swap list'
    )


def pytest_configure(config):
    """Take away what --lacking names, in whatever process the tests run."""
    lacking = config.getoption('--lacking')
    if lacking == 'onednn':
        torch.backends.mkldnn.set_flags(_enabled=False)
    elif lacking is not None:
        works_here = capabilities.works_here
        capabilities.works_here = lambda dtype: (
            lacking == 'bfloat16' and dtype == torch.float32 and works_here(dtype)
        )


def pytest_collection_modifyitems(items):
    """Put the files with the longest tests first, so that parallel processes end together."""
    items.sort(key=lambda item: item.path.parent != TESTS / 'tools')


def pytest_collection_finish():
    """Leave what the imports made out of every garbage collection: it is millions of objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def golden():
    """Return a function that reads the outputs of an original program on stand-in weights."""

    def read(name):
        return json.loads((TESTS / 'data' / f'{name}.json').read_text())

    return read


@pytest.fixture(scope='session')
def root():
    return ROOT


@pytest.fixture(scope='session')
def digits(root, tmp_path_factory):
    """A few small images of the digits data, in COCO format."""
    folder = tmp_path_factory.mktemp('data') / 'digits'
    command = [sys.executable, root / 'tools/dataset_converters/digits.py', '--out-dir', folder]
    command += '--train-images 12 --val-images 6 --image-size 96 --digit-size 24 40'.split()
    command += '--digits-per-image 1 3 --tasks detection segmentation'.split()
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return folder


@pytest.fixture(scope='session')
def models(root):
    """Return a function that gives a digits model on stand-in weights and its config."""
    from helpers.exported import filled
    from mmengine.config import Config

    from hardnet_mm.utils.configs import build_model

    built = {}

    def get(name):
        if name not in built:
            cfg = Config.fromfile(root / f'configs/digits/{name}_digits.py')
            built[name] = filled(build_model(cfg)), cfg
        return built[name]

    return get


@pytest.fixture(scope='session')
def run_tool(root, tmp_path_factory):
    """Return a function that runs a script of tools/ and returns what it printed.

    ``fresh`` starts a new interpreter, as a user does; otherwise the toolboxes are imported
    already, which saves seconds.
    """
    outputs = tmp_path_factory.mktemp('outputs')

    def run(script, *arguments, fails=False, cwd=None, fresh=False):
        environment = dict(os.environ, OMP_NUM_THREADS='1')
        environment['PATH'] = os.path.dirname(sys.executable) + os.pathsep + environment['PATH']
        path, arguments = str(root / 'tools' / script), list(map(str, arguments))
        if script.endswith('.py') and not fresh:
            file = outputs / 'output.txt'
            status = tool_process.run(path, arguments, environment, cwd, file, timeout=300)
            output = file.read_text()
        else:
            interpreter = sys.executable if script.endswith('.py') else 'bash'
            result = subprocess.run(
                [interpreter, path, *arguments],
                **dict(capture_output=True, text=True, env=environment, cwd=cwd, timeout=300),
            )
            status, output = result.returncode, result.stdout + result.stderr
        assert (status != 0) == fails, output[-5000:]
        return output

    return run
