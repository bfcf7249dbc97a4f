"""Mistakes are told at once, in one line; bugs keep their traceback."""

import re
import subprocess
import sys

import command_line
import pytest
from mmengine.infer import BaseInferencer
from mmengine.registry import MODELS
from torch.utils.data import DataLoader, Dataset

from hardnet_mm.backbones.architectures import ARCHITECTURES
from hardnet_mm.utils.errors import InputError

CONFIG = 'configs/digits/ssd_hardnet_digits.py'
MISTAKES = [
    (['train.py', 'missing.py'], 'there is no config missing.py'),
    (['train.py', CONFIG, '--resume', 'missing.pth'], 'there is no checkpoint missing.pth'),
    (['train.py', CONFIG, '--cfg-options', 'a'], '--cfg-options takes key=value pairs, got a'),
    (['test.py', CONFIG, '~/missing.pth'], r'there is no checkpoint /\S+/missing.pth'),
    (
        ['test.py', CONFIG, CONFIG, '--out', 'a.txt'],
        'must be .* in .pkl or .pickle, got a.txt',
    ),
    (['predict.py', 'missing.py', 'a.jpg', '--out-dir', 'a'], 'there is no config missing.py'),
    (
        ['predict.py', CONFIG, 'a.pth', 'a.jpg', '--out-dir', 'a'],
        'checkpoint or exported file a',
    ),
    (['predict.py', 'hardnet68', 'a.jpg', '--out-dir', 'a'], 'no image, folder or video a.jpg'),
    (['predict.py', 'hardnet68', '*.mp4', '--out-dir', 'a'], r'no video matches \*.mp4'),
    (
        ['predict.py', 'hardnet68', '0', '--out-dir', 'tests'],
        'tests is there already: choose',
    ),
    (['predict.py', 'hardnet68', 'hardnet://hardnet68', '--out-dir', 'a'], 'nothing to predict on'),
    (['demo_page.py', '--model', 'missing.py', 'a.pth'], 'there is no config missing.py'),
    (['swap_backbone.py', 'missing.py'], 'there is no config missing.py'),
    (['swap_backbone.py', CONFIG, '--arch', 'hardnet86'], "--arch: invalid choice: 'hardnet86'"),
    (['swap_backbone.py', CONFIG, '--out', CONFIG], 'is there already: .* or pass --overwrite'),
    (['swap_backbone.py', CONFIG, '--out', 'a.json'], 'that ends in .py, got a.json'),
    (['model_converters/hardnet_to_mm.py', CONFIG], 'dst is missing'),
    (['model_converters/hardnet_to_mm.py', CONFIG, 'tests'], 'dst .* tests is a folder'),
]


def run(root, script, *arguments):
    """Run a tool, and return its status, its last line, and what it imported."""
    command = [sys.executable, '-X', 'importtime', f'tools/{script}', *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    imported = re.findall(r'^import time:.*\| +([\w.]+)$', result.stderr, re.MULTILINE)
    assert len(imported) > 20
    lines = [line for line in result.stderr.splitlines() if not line.startswith('import time:')]
    return result.returncode, (result.stdout.splitlines() + lines)[-1], set(imported)


@pytest.mark.parametrize('command, words', MISTAKES)
def test_a_mistake_costs_no_import(root, command, words):
    status, last, imported = run(root, *command)
    assert status == 2
    assert re.match(rf'{command[0].rpartition("/")[2]}: error: .*{words}', last), last
    assert not {'torch', 'mmengine', 'hardnet_mm'} & imported


@pytest.mark.parametrize(
    'script',
    [
        'train.py',
        'test.py',
        'predict.py',
        'demo_page.py',
        'swap_backbone.py',
        'model_converters/hardnet_to_mm.py',
    ],
)
def test_help_costs_no_import(root, script):
    status, last, imported = run(root, script, '--help')
    assert status == 0 and not {'torch', 'mmengine', 'hardnet_mm'} & imported


def test_what_is_not_installed(root):
    for missing in ('mmengine', 'mmcv'):
        script = (
            f"import runpy, sys\nsys.modules['{missing}'] = None\n"
            f"sys.argv = ['train.py', '{CONFIG}']\nsys.path.append('tools')\n"
            "runpy.run_path('tools/train.py', run_name='__main__')\n"
        )
        command = [sys.executable, '-c', script]
        result = subprocess.run(command, cwd=root, capture_output=True, text=True)
        assert result.returncode == 2, result.stderr
        (line,) = result.stderr.splitlines()
        assert line.startswith(
            f'train.py: error: this part of hardnet_mm needs {missing}, which is not installed'
        )


def test_help_lists_the_architectures(root):
    command = [sys.executable, root / 'tools/swap_backbone.py', '--help']
    text = subprocess.run(command, capture_output=True, text=True).stdout
    assert all(arch in text for arch in ARCHITECTURES)


class Missing(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return open('missing.jpg')


class Refusing(Missing):
    def __getitem__(self, index):
        raise InputError('a.png has\nthe label 7')


def errors():
    """Errors as they arise: their maker, and the line that is told."""
    return {
        'a file': (lambda: open('a.json'), 'No such file or directory: a.json'),
        'a file that a data loader needs': (
            lambda: list(DataLoader(Missing(), num_workers=1)),
            "[Errno 2] No such file or directory: 'missing.jpg'",
        ),
        'data that a data loader refuses': (
            lambda: list(DataLoader(Refusing(), num_workers=1)),
            'a.png has the label 7',
        ),
        'a type': (
            lambda: MODELS.build(dict(type='Missing')),
            'Missing is not in the mm',
        ),
        'a package': (lambda: __import__('missing_package'), "No module named 'missing_package'"),
    }


def run_main(function):
    command_line.run(lambda: None, lambda _: function())


@pytest.mark.parametrize('kind', errors())
def test_an_error_of_the_user_is_one_line(kind, capsys, monkeypatch):
    function, words = errors()[kind]
    monkeypatch.setattr(sys, 'argv', ['tools/train.py'])
    with pytest.raises(SystemExit) as left:
        run_main(function)
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'train.py: error: {words}')
    monkeypatch.setenv('HARDNET_TRACEBACK', '1')
    with pytest.raises(Exception) as raised:  # noqa: B017, whichever it is
        run_main(function)
    assert raised.type is not SystemExit


@pytest.mark.parametrize(
    'bug', [lambda: int('a'), lambda: {}['a'], lambda: [].pop(), lambda: 1 / 0]
)
def test_a_bug_keeps_its_traceback(bug):
    with pytest.raises((ValueError, KeyError, IndexError, ZeroDivisionError)):
        run_main(bug)


def test_an_assertion_of_a_toolbox_is_told_and_one_of_ours_is_not():
    with pytest.raises(SystemExit):
        run_main(lambda: BaseInferencer.list_models('no toolbox'))

    def ours():
        assert False, 'a bug'  # noqa: B011

    with pytest.raises(AssertionError):
        run_main(ours)
