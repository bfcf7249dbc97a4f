"""The code blocks of README.md and docs/: Python is run, and commands are parsed, as they stand."""

import ast
import functools
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path

import cv2
import mim.utils
import numpy as np
import pytest
import torch
from helpers.documents import PAGES, ROOT, blocks, name, prose
from helpers.stand_in import fill_state_dict
from mmengine.config import Config
from mmengine.registry import DefaultScope

from hardnet_mm.checkpoints import download
from hardnet_mm.checkpoints.published import SCHEME, WEIGHTS, get_weights
from hardnet_mm.utils.configs import build_model, read_config
from hardnet_mm.utils.own_files import own_models

LANGUAGES = ('bash', 'bibtex', 'python', 'text')
OTHERS = ('awk', 'git', 'twine')  # programs whose options are not ours to know
# Pages with more to their blocks than standing alone: data to make, a training to run.
TESTED_ELSEWHERE = {'docs/own_data.md': 'tests/test_own_data.py'}
SLOW = ('docs/deploy.md', 'docs/getting_started.md')  # a published model of each task, whole images
PUBLISHED = dict(
    hardnet68='hardnet68_cls',
    ssd512_hardnet68_coco='ssd512_hardnet68',
    fchardnet70_cityscapes='fchardnet70',
)


def pages(*languages, marked=True):
    """Return the pages with blocks of these languages; with some to run, where not ``marked``."""
    found = {page: blocks(page, *languages) for page in PAGES}
    if not marked:
        found = {page: [b for b in each if not b.reason] for page, each in found.items()}
    return [page for page, each in found.items() if each]


@pytest.mark.parametrize('page', pages(), ids=name)
def test_every_block_is_of_a_kind_that_is_checked(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, f'{name(page)}:{block.line} is {block.language!r}'
    assert '```' not in prose(page), 'a fence that does not close'
    if name(page) in TESTED_ELSEWHERE:
        assert f'`{TESTED_ELSEWHERE[name(page)]}` runs every block' in page.read_text()


# Python


@pytest.fixture(scope='module')
def weights(golden, tmp_path_factory):
    """A folder with stand-ins for the published files that the pages load."""
    folder = tmp_path_factory.mktemp('weights')
    for key, model in PUBLISHED.items():
        torch.save(fill_state_dict(golden(model)['state_dict']), folder / WEIGHTS[key].file)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a reader: a checkout, with an image."""
    for path in ROOT.iterdir():
        if path.name in (
            'README.md',
            'configs',
            'examples',
            'hardnet_mm',
            'hubconf.py',
            'requirements',
            'tests',
            'tools',
        ):
            (tmp_path / path.name).symlink_to(path)
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    for file in ('image.jpg', 'picture.jpg'):
        cv2.imwrite(str(tmp_path / file), image)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    'page',
    [
        pytest.param(page, id=name(page), marks=[pytest.mark.slow] * (name(page) in SLOW))
        for page in pages('python', marked=False)
    ],
)
def test_python_runs(page, folder, weights, monkeypatch):
    """Block after block, as in one session; a config is read, and its model built."""
    if name(page) in TESTED_ELSEWHERE:
        pytest.skip(f'in {TESTED_ELSEWHERE[name(page)]}')
    monkeypatch.setenv('HARDNET_WEIGHTS', str(weights))
    # a stand-in has another hash than the name of its file tells
    monkeypatch.setattr(download, 'check_hash', lambda *paths: None)
    # a reader's session starts without a toolbox's scope, where mmpretrain's inferencer looks first
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
    session = dict(__name__='__page__')
    for block in blocks(page, 'python'):
        if block.reason:
            continue
        if block.file:
            (folder / block.file).write_text(block.code)
        if block.is_config:
            run_config(block, folder)
        elif block.file:
            importlib.import_module(Path(block.file).stem)
        else:
            code = '\n' * (block.line - 1) + block.code  # so that a traceback tells the line
            exec(compile(code, name(page), 'exec'), session)


def run_config(block, folder):
    """Read a config, see that each of its settings is in what it makes, and build its model."""
    path = folder / (block.file or 'page_config.py')
    path.write_text(block.code)
    cfg = read_config(str(path))
    own = Config.fromfile(written_alone(block, folder))
    assert_holds(cfg, own)
    model = build_model(cfg)
    assert sum(parameter.numel() for parameter in model.parameters()) > 0


def written_alone(block, folder):
    """Return the path of a config without its base."""
    path = folder / 'alone.py'
    path.write_text(re.sub(r'^_base_ = .*$', '', block.code, flags=re.MULTILINE))
    return path


def assert_holds(found, wanted):
    for key, value in wanted.items():
        if key == '_delete_':
            continue
        if isinstance(value, dict):
            assert_holds(found[key], value)
        else:
            assert found[key] == value, key


# Commands


@pytest.mark.parametrize('page', pages('bash'), ids=name)
def test_commands_are_known(page, folder, monkeypatch, capsys):
    """Their scripts, configs and options are there, though most are not run."""
    hub = folder / 'Pytorch-HarDNet'
    hub.mkdir()
    for file in ('hubconf.py', 'hardnet.py'):
        (hub / file).touch()
    for block in blocks(page):
        if block.language == 'python' and block.file:
            (folder / block.file).write_text(block.code)
        if block.language != 'bash':
            continue
        for command in commands(block.code):
            try:
                check(command, monkeypatch)
            except ImportError as error:  # of a package that only the block says it needs
                if f'needs {error.name.partition(".")[0]}' not in (block.reason or ''):
                    raise
            except SystemExit:
                said = capsys.readouterr().err.strip().splitlines()
                if 'is not installed: pip install' in said[-1]:  # parsed, and then looked for
                    continue
                pytest.fail(f'{name(page)}:{block.line}: {shlex.join(command)}: {said[-1:]}')


@pytest.mark.slow
@pytest.mark.parametrize('page', pages('bash', marked=False), ids=name)
def test_unmarked_commands_run(page, folder):
    if name(page) in TESTED_ELSEWHERE:
        pytest.skip(f'in {TESTED_ELSEWHERE[name(page)]}')
    (folder / 'configs').unlink()  # some write there
    shutil.copytree(ROOT / 'configs', folder / 'configs')
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    environment['PATH'] = os.path.dirname(sys.executable) + os.pathsep + environment['PATH']
    environment['PYTHONPATH'] = str(ROOT)
    for block in blocks(page, 'bash'):
        if not block.reason:
            subprocess.run(['bash', '-euc', block.code], cwd=folder, env=environment, check=True)


def commands(code):
    """Yield the words of each command, without comments and settings of the environment."""
    for line in code.replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index('&&') if '&&' in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while command and re.fullmatch(r'[A-Z_]+=.*', command[0]):
                command.pop(0)
            if command:
                yield command


def check(command, monkeypatch):
    """Check a command, by what its program would say of it."""
    program, *arguments = command
    program = re.sub(r'^(\.venv|release)/bin/', '', program)
    if program in OTHERS or (program, arguments[:1]) == ('python', ['-m']):
        return
    checks = {
        'python': lambda: check_python(*arguments, monkeypatch=monkeypatch),
        '.ci/run': lambda: check_file(program),
        'make': lambda: check_make(arguments),
        'pip': lambda: check_pip(*arguments),
        'mim': lambda: check_mim(*arguments, monkeypatch=monkeypatch),
        'tools/dist_train.sh': lambda: check_launcher(program, arguments, 1, monkeypatch),
        'tools/dist_test.sh': lambda: check_launcher(program, arguments, 2, monkeypatch),
        'tools/slurm_train.sh': lambda: check_slurm(program, arguments, 1, monkeypatch),
        'tools/slurm_test.sh': lambda: check_slurm(program, arguments, 2, monkeypatch),
        'tools/gpu_check.sh': lambda: check_options(program, arguments),
        'cmake': lambda: check_cmake(arguments),
        'build/detect': lambda: check_cmake(['-S', 'examples/onnxruntime']),
    }
    assert program in checks, f'{program}: this test does not know how to check it'
    checks[program]()


def check_python(script, *arguments, monkeypatch):
    """Parse the arguments of a script as it does itself."""
    if script == '-m':
        module, action = arguments
        assert action in importlib.import_module(f'{module}.__main__').ACTIONS
        return
    assert (ROOT / script).is_file(), script
    monkeypatch.setattr('sys.argv', [script, *arguments])
    monkeypatch.syspath_prepend(str((ROOT / script).parent))
    module = parser_of(ROOT / script)
    if hasattr(module, 'check_file'):  # checkpoints and images are the reader's
        there = module.check_file
        only = lambda parser, kind, path: kind == 'config' and there(parser, kind, path)  # noqa: E731
        monkeypatch.setattr(module, 'check_file', only)
    if hasattr(module, 'find_inputs'):
        monkeypatch.setattr(module, 'find_inputs', lambda *_: [])
    args = module.parse_args()
    check_values(arguments, getattr(args, 'cfg_options', None))


def parser_of(script):
    """Return the module of a script; of one that parses on import, what comes before that."""
    spec = importlib.util.spec_from_file_location(f'page_{script.stem}', script)
    if 'def parse_args(' in script.read_text():
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    module = types.ModuleType(spec.name)
    exec(script.read_text().partition('args = parser.parse_args()')[0], vars(module))
    module.parse_args = module.parser.parse_args
    return module


def check_values(arguments, options):
    """Check names that a parser takes as they are: configs, weights, and settings of a config."""
    config = None
    for previous, argument in zip([None, *arguments], arguments):
        if argument.startswith(SCHEME):
            get_weights(argument)
        elif previous != '--out' and (argument.endswith('.py') or '::' in argument):
            config = cached_config(argument if '::' in argument else str(Path(argument).resolve()))
    for key, value in (options or {}).items():
        if str(value).startswith(SCHEME):
            get_weights(value)
        parent = config
        for part in key.split('.')[:-1]:
            part = int(part) if isinstance(parent, list) else part
            known = range(len(parent)) if isinstance(parent, list) else parent
            assert part in known, f'the config has no {key}'
            parent = parent[part]


@functools.cache
def cached_config(path):
    return read_config(path)


def check_launcher(script, arguments, files, monkeypatch):
    """A config, maybe a checkpoint, the number of processes, and the tool's own arguments."""
    assert arguments[files].isdigit(), arguments
    tool = f'tools/{script.rpartition("_")[2].removesuffix(".sh")}.py'
    own = [*arguments[:files], *arguments[files + 1 :]]
    check_python(tool, *own, monkeypatch=monkeypatch)


def check_slurm(script, arguments, files, monkeypatch):
    """Partition, job, config, then a work dir or a checkpoint, and the tool's own arguments."""
    _, _, config, path, *rest = arguments
    path = ['--work-dir', path] if files == 1 else [path]
    tool = f'tools/{script.rpartition("_")[2].removesuffix(".sh")}.py'
    check_python(tool, config, *path, *rest, monkeypatch=monkeypatch)


def check_make(arguments):
    text = (ROOT / 'Makefile').read_text()
    targets = re.search(r'^\.PHONY: (.*)$', text, re.MULTILINE)[1].split()
    for argument in arguments:
        key, equals, _ = argument.partition('=')
        assert re.search(rf'^{key} \?= ', text, re.MULTILINE) if equals else argument in targets


def check_options(script, arguments):
    """A shell script's options stand in its text."""
    options = [argument for argument in arguments if argument.startswith('--')]
    assert options and all(option in (ROOT / script).read_text() for option in options)


def check_file(path):
    assert (ROOT / path).is_file(), path


def check_pip(action, *arguments):
    """Names of packages are free; extras are setup.py's."""
    assert action in ('install', 'show')
    extras = next(
        node.value
        for node in ast.parse((ROOT / 'setup.py').read_text()).body
        if isinstance(node, ast.Assign) and node.targets[0].id == 'EXTRAS'
    )
    allowed = [keyword.arg for keyword in extras.keywords]
    for argument in arguments:
        extra = re.fullmatch(r'(?:\.|hardnet_mm)\[(\w+)\]', argument)
        assert extra is None or extra[1] in allowed, argument


def check_mim(action, *arguments, monkeypatch):
    """Parse as mim does; configs by name, scripts in the package, and what is left by our tool."""
    command = importlib.import_module(f'mim.commands.{action}').cli
    context = command.make_context(action, list(arguments))
    given = context.params
    package = given.get('package') or given.get('packages', [None])[0]
    # The one package whose name for OpenMMLab's mim differs, as the page says.
    if package == 'onedl-mmdetection' and not mim.utils.is_installed(package):
        package = 'mmdet'
    distribution = mim.utils.module_full_name(package)
    assert distribution and mim.utils.is_installed(distribution), f'mim does not know {package}'
    if action in ('train', 'test'):
        config = given['config']
        own = not Path(config).is_file()
        config = f'{package}::{config}' if own else config
        checkpoint = ['epoch_1.pth'] if action == 'test' else []
        check_python(f'tools/{action}.py', config, *checkpoint, monkeypatch=monkeypatch)
    elif action == 'run':
        tools = Path(mim.utils.get_installed_path(distribution)) / '.mim/tools'
        assert list(tools.rglob(f'{given["command"]}.py')), given
        check_values([argument for argument in arguments if '.py' in argument], None)
    elif action == 'download':
        known = {model['Name'] for model in own_models()}
        assert set(given['configs']) <= known, given


def check_cmake(arguments):
    if '-S' in arguments:
        assert (ROOT / arguments[arguments.index('-S') + 1] / 'CMakeLists.txt').is_file()
