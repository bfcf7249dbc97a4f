"""mmcv's operators in programs that do not import hardnet_mm, in an environment of their own."""

import importlib.util

import pytest
from helpers.virtual_environment import ROOT, Environment

from hardnet_mm.compat import environment as commands_of_this_one
from hardnet_mm.compat.environment import NAME
from hardnet_mm.utils.errors import InputError

COMPILED = getattr(importlib.util.find_spec('mmcv._ext'), 'origin', None) is not None
USE = """
import sys
assert 'mmcv' not in sys.modules and 'torch' not in sys.modules
from mmcv.ops import nms, get_compiler_version
import torch
print(len(nms(torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]]), torch.tensor([0.5, 0.6]), 0.5)[1]))
print('hardnet_mm' in sys.modules, get_compiler_version())
"""


@pytest.fixture(scope='module')
def environment(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp('environment'))


@pytest.fixture
def commands(environment, monkeypatch):
    """The commands, at work on that environment."""
    monkeypatch.setattr(commands_of_this_one, 'place', lambda: environment.packages / NAME)
    yield commands_of_this_one
    commands_of_this_one.remove()


@pytest.mark.slow
@pytest.mark.skipif(COMPILED, reason='this mmcv has compiled operators')
def test_scripts_that_do_not_import_hardnet_mm_have_operators(environment, commands):
    result = environment.run('-m', 'hardnet_mm.compat', 'install')
    assert 'from now on' in result.stdout, result.stderr
    assert 'computed by PyTorch' in commands.status()
    there = sorted(environment.packages.iterdir())
    result = environment.run('-c', USE)
    assert result.stdout == '1\nFalse none: hardnet_mm computes the operators\n', result
    assert sorted(environment.packages.iterdir()) == there


@pytest.mark.skipif(COMPILED, reason='this mmcv has compiled operators')
def test_where_hardnet_mm_is_gone_all_is_as_it_was(environment, commands):
    commands.install()
    hidden = (
        'import sys\n'
        f'sys.path = [path for path in sys.path if path != {str(ROOT)!r}]\n'
        'sys.meta_path = [finder for finder in sys.meta_path if "ditable" not in str(finder)]\n'
        'from importlib.util import find_spec\n'
        'print(find_spec("hardnet_mm"), find_spec("mmcv._ext"))\n'
    )
    assert environment.run('-c', hidden).stdout == 'None None\n'
    assert 'removed' in commands.remove()
    assert 'nothing to do' in commands.remove()
    assert 'not there' in commands.status()


@pytest.mark.skipif(not COMPILED, reason='this mmcv was installed without compiled operators')
def test_compiled_operators_are_left_in_their_place(environment, commands):
    assert 'nothing to do' in commands.install()
    assert not commands.place().exists()
    commands.place().write_text(commands.content())  # as if mmcv had had none
    result = environment.run(
        '-c', 'from importlib.util import find_spec as f; print(f("mmcv._ext"))'
    )
    assert 'ExtensionFileLoader' in result.stdout, result.stderr
    assert 'is not used' in commands.status()


def test_a_start_of_python_imports_nothing_for_it(environment):
    names = 'import sys; print(*sorted(sys.modules))'
    script = commands_of_this_one.content() + names
    before, after = (environment.run('-c', text).stdout.split() for text in (names, script))
    assert before == after


def test_a_place_that_cannot_be_written_to_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(commands_of_this_one, 'compiled', lambda: None)
    monkeypatch.setattr(commands_of_this_one, 'place', lambda: tmp_path / 'none' / NAME)
    with pytest.raises(InputError, match='none cannot be written to'):
        commands_of_this_one.install()


def test_a_file_that_cannot_be_deleted_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(commands_of_this_one, 'place', lambda: tmp_path / NAME)
    (tmp_path / NAME).write_text('import sys\n')
    with monkeypatch.context() as patch:
        patch.setattr(commands_of_this_one.os, 'access', lambda *_: False)
        with pytest.raises(InputError, match='cannot be written to: is this environment yours'):
            commands_of_this_one.remove()
    assert (tmp_path / NAME).exists()


def test_what_another_version_wrote_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(commands_of_this_one, 'compiled', lambda: None)
    monkeypatch.setattr(commands_of_this_one, 'place', lambda: tmp_path / NAME)
    commands_of_this_one.install()
    assert 'computed by PyTorch' in commands_of_this_one.status()
    (tmp_path / NAME).write_text('import sys\n')
    assert 'another version' in commands_of_this_one.status()
    assert 'removed' in commands_of_this_one.remove() and not list(tmp_path.iterdir())
