import email
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest
import yaml


@pytest.fixture(scope='module')
def source(root, tmp_path_factory):
    """A checkout, without what is installed or made in one."""
    left_out = shutil.ignore_patterns(
        '.venv*', '.git', 'data', 'work_dirs', 'build', '*.egg-info', '.mim', '__pycache__'
    )
    folder = tmp_path_factory.mktemp('packaging') / 'source'
    shutil.copytree(root, folder, ignore=left_out)
    return folder


@pytest.fixture(scope='module')
def wheel(source):
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '.']
    subprocess.run([*command, '-w', 'dist'], cwd=source, check=True, capture_output=True)
    (path,) = (source / 'dist').glob('hardnet_mm-*.whl')
    return path


def test_wheel_holds_what_mim_looks_for(root, wheel):
    """mim reads configs, tools and the model index from .mim inside the installed package."""
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in names if '.dist-info/' not in name}
    assert {name.split('/')[0] for name in packed} == {'hardnet_mm'}
    files = ['model-index.yml']
    for folder in ('configs', 'tools'):
        found = (root / folder).rglob('*')
        files += [
            str(p.relative_to(root)) for p in found if p.suffix in ('.py', '.sh', '.yml', '.md')
        ]
    assert len(files) > 10
    assert {f'hardnet_mm/.mim/{name}' for name in files} <= packed
    # onedl-mim takes the first of an installed package's files, in order, for its folder.
    first = sorted(names)[0].split('/')[0]
    assert {f'{first}/.mim/{name}' for name in files} <= set(names)
    modules = {str(p.relative_to(root)) for p in (root / 'hardnet_mm').rglob('*.py')}
    assert {name for name in modules if '.mim' not in name} <= packed
    assert 'hardnet_mm/kernels/triton/sm90.json' in packed
    assert 'hardnet_mm/py.typed' in packed  # without it, type checkers take no types from here
    assert len(names) == len(set(names)) and not any(name.endswith('.pyc') for name in names)


@pytest.fixture(scope='module')
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
        return email.message_from_bytes(archive.read(name))


def test_wheel_says_what_it_is(metadata):
    assert metadata['Author'] == 'the hardnet_mm developers'
    assert 'Paper, https://arxiv.org/abs/1909.00948' in metadata.get_all('Project-URL')
    assert 'Typing :: Typed' in metadata.get_all('Classifier')
    assert 'HarDNet' in metadata['Keywords'] and metadata['Description-Content-Type']


def test_continuous_integration_runs_on_every_python(root, metadata):
    """Those that the classifiers and install.sh name, by the command that a contributor has."""
    workflow = yaml.safe_load((root / '.github/workflows/test.yml').read_text())
    job = workflow['jobs']['test']
    assert job['env'] == dict(STACK='${{ matrix.stack }}')
    assert [step['run'] for step in job['steps'] if 'run' in step] == ['.ci/run']
    matrix = job['strategy']['matrix']
    pythons = {(stack, python) for stack in matrix['stack'] for python in matrix['python']}
    pythons -= {(left_out['stack'], left_out['python']) for left_out in matrix['exclude']}
    install = (root / 'requirements/install.sh').read_text()
    newest = dict(re.findall(r'^ +(\w+)(?: \| docs)?\) newest=(\d+)', install, re.MULTILINE))
    assert pythons == {
        (stack, f'3.{minor}')
        for stack, last in newest.items()
        for minor in range(10, int(last) + 1)
    }
    named = {word.rpartition(' ')[2] for word in metadata.get_all('Classifier') if ':: 3.' in word}
    assert named == set(matrix['python'])


# An editable installation is what make leaves.
@pytest.fixture(params=['editable', pytest.param('wheel', marks=pytest.mark.slow)])
def python(request, source, wheel):
    """The Python of an environment where this plugin was installed in either way.

    It is inside the checkout, as `make test` has it, and sees the packages of this one.
    """
    environment = source / '.venv'
    shutil.rmtree(environment, ignore_errors=True)
    venv.create(environment)
    (packages,) = environment.glob('lib/python*/site-packages')
    (packages / 'these.pth').write_text(sysconfig.get_path('purelib'))
    what = [str(wheel)] if request.param == 'wheel' else ['--no-build-isolation', '--editable', '.']
    command = [str(environment / 'bin/python'), '-m', 'pip', 'install', '--no-deps', *what]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return command[0]


MIM = """
import traceback
from mim.cli import cli

for arguments in (
    'train hardnet_mm ssd512_hardnet68_coco.py --resume missing.pth',
    'test hardnet_mm ssd512_hardnet68_coco.py --checkpoint other.pth',
    'search hardnet_mm --field weight',
    'run hardnet_mm hardnet_to_mm a',
):
    try:
        cli(arguments.split(), standalone_mode=False)
    except Exception:
        traceback.print_exc()
"""


def test_mim_finds_one_config_from_any_folder(python, tmp_path):
    result = subprocess.run([python, '-c', MIM], cwd=tmp_path, capture_output=True, text=True)
    output = result.stdout + result.stderr
    assert output.count('ssd512_hardnet68_coco.py instead') == 2, output
    for words in (
        'train.py: error: there is no checkpoint missing.pth',
        'test.py: error: there is no checkpoint other.pth',
        'SSD512_HarDNet68_COCO.pth',
        'hardnet_to_mm.py: error: dst is missing',
    ):
        assert words in output, output
