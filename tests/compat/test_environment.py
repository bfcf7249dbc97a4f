"""mmcv's operators in programs that do not import hardnet_mm, in an environment of their own."""

import importlib.util
import site
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

import hardnet_mm
from hardnet_mm.compat.environment import NAME

COMPILED = getattr(importlib.util.find_spec('mmcv._ext'), 'origin', None) is not None
USE = """
import sys
assert 'mmcv' not in sys.modules and 'torch' not in sys.modules
from mmcv.ops import nms, get_compiler_version
import torch
print(len(nms(torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]]), torch.tensor([0.5, 0.6]), 0.5)[1]))
print('hardnet_mm' in sys.modules, get_compiler_version())
"""


class Environment:
    """A new virtual environment that sees this one's packages."""

    def __init__(self, folder):
        venv.create(folder, symlinks=True)
        self.python = folder / 'bin/python'
        paths = sysconfig.get_paths(vars=dict(base=str(folder), platbase=str(folder)))
        self.packages = Path(paths['purelib'])
        self.own = self.packages / 'own.pth'
        root = Path(hardnet_mm.__file__).parents[1]
        self.see(*site.getsitepackages(), root)

    def see(self, *paths):
        self.own.write_text(''.join(f'{path}\n' for path in paths))

    def run(self, *args):
        return subprocess.run([self.python, *args], capture_output=True, text=True, cwd='/')

    def compat(self, action):
        result = self.run('-m', 'hardnet_mm.compat', action)
        assert result.returncode == 0, result.stderr
        return result.stdout


@pytest.fixture(scope='module')
def environment(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp('environment'))


@pytest.mark.skipif(COMPILED, reason='this mmcv has compiled operators')
def test_scripts_that_do_not_import_hardnet_mm_have_operators(environment):
    assert "No module named 'mmcv._ext'" in environment.run('-c', USE).stderr
    assert 'from now on' in environment.compat('install')
    before = sorted(environment.packages.iterdir())
    result = environment.run('-c', USE)
    assert result.stdout.split('\n')[0] == '1', result.stderr
    assert result.stdout.split('\n')[1] == 'False none: hardnet_mm computes the operators'
    assert 'computed by PyTorch' in environment.compat('status')
    # importing hardnet_mm too changes nothing
    result = environment.run('-c', 'import hardnet_mm, mmcv._ext as e; print(e.nms.__module__)')
    assert result.stdout == 'hardnet_mm_operators.nms\n', result.stderr
    # where hardnet_mm is gone, all is as it was
    environment.see(*site.getsitepackages())
    hidden = f'import sys\nsys.path = [p for p in sys.path if {str(root())!r} not in p]\n'
    hidden += 'sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in str(f)]\n'
    result = environment.run('-c', hidden + USE)
    assert "No module named 'mmcv._ext'" in result.stderr
    environment.see(*site.getsitepackages(), root())
    assert sorted(environment.packages.iterdir()) == before
    assert 'removed' in environment.compat('remove')
    assert not (environment.packages / NAME).exists()
    assert 'nothing to do' in environment.compat('remove')
    assert 'not there' in environment.compat('status')


def root():
    return Path(hardnet_mm.__file__).parents[1]


@pytest.mark.skipif(not COMPILED, reason='this mmcv was installed without compiled operators')
def test_compiled_operators_are_left_in_their_place(environment):
    assert 'nothing to do' in environment.compat('install')
    assert not (environment.packages / NAME).exists()
    # another one's mmcv had none, when it was put there
    script = 'from hardnet_mm.compat.environment import content, place\n'
    script += 'place().write_text(content()); import mmcv._ext'
    assert environment.run('-c', script).returncode == 0
    result = environment.run('-c', 'import mmcv._ext; print(mmcv._ext.__file__)')
    assert result.stdout.endswith('.so\n'), result.stderr
    assert 'is not used' in environment.compat('status')
    assert 'removed' in environment.compat('remove')


def test_a_start_of_python_imports_nothing_for_it(environment, tmp_path):
    from hardnet_mm.compat.environment import content

    names = 'import sys; print(*sorted(sys.modules))'
    script = content() + names
    before, after = (environment.run('-c', text).stdout.split() for text in (names, script))
    assert before == after


def test_a_place_that_cannot_be_written_to_is_named(monkeypatch, tmp_path):
    from hardnet_mm.compat import environment
    from hardnet_mm.utils.errors import InputError

    monkeypatch.setattr(environment, 'compiled', lambda: None)
    monkeypatch.setattr(environment, 'place', lambda: tmp_path / 'none' / NAME)
    with pytest.raises(InputError, match='none cannot be written to'):
        environment.install()


def test_what_another_version_wrote_is_told(monkeypatch, tmp_path):
    from hardnet_mm.compat import environment

    monkeypatch.setattr(environment, 'compiled', lambda: None)
    monkeypatch.setattr(environment, 'place', lambda: tmp_path / NAME)
    environment.install()
    assert 'computed by PyTorch' in environment.status()
    (tmp_path / NAME).write_text('import sys\n')
    assert 'another version' in environment.status()
    assert 'removed' in environment.remove() and not list(tmp_path.iterdir())
