import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS))  # stand_in
sys.path.append(str(ROOT / 'tools'))  # command_line


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
def run_tool(root):
    """Return a function that runs a script of tools/ and returns what it printed."""

    def run(script, *arguments, fails=False, cwd=None):
        environment = dict(os.environ, OMP_NUM_THREADS='1')
        environment['PATH'] = os.path.dirname(sys.executable) + os.pathsep + environment['PATH']
        interpreter = [sys.executable] if script.endswith('.py') else ['bash']
        command = [*interpreter, str(root / 'tools' / script), *map(str, arguments)]
        result = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=300
        )
        output = result.stdout + result.stderr
        assert (result.returncode != 0) == fails, output[-5000:]
        return output

    return run
