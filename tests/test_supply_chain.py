"""What is installed, from where, and that nothing is fetched unasked."""

import re
import shutil
import subprocess
import sys

import pytest

# Every connection and look-up of a name ends here, whichever library asks for it.
WITHOUT_NETWORK = """
import sys

def audit(event, arguments):
    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto'):
        raise SystemExit(f'{event} {arguments[-1]}')

sys.addaudithook(audit)
"""
ROOMS = (
    'backbones benchmark checkpoints cls compat configs deploy det export inference kernels seg '
)
ROOMS += 'standalone swap training utils'
RUN = """
import torch
from hardnet_mm.deploy import to_deploy
from hardnet_mm.utils.configs import build_model, read_config
from hardnet_mm.export.end_to_end import build_end_to_end

model = build_model(read_config('configs/digits/ssd_hardnet_digits.py')).eval()
with torch.no_grad():
    end_to_end = build_end_to_end(to_deploy(model, channels_last=False), 'nms', None).eval()
    end_to_end(torch.rand(1, 3, 128, 128))
"""


def run(root, code):
    command = [sys.executable, '-c', WITHOUT_NETWORK + code]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=900)


def test_nothing_is_fetched_at_import(root):
    result = run(root, 'import hardnet_mm')
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.slow
def test_nothing_is_fetched_at_prediction(root):
    """All rooms are imported, and a detector is built from its config, deployed and run."""
    found = {path.parent.name for path in (root / 'hardnet_mm').glob('*/__init__.py')}
    assert found == set(ROOMS.split())
    imports = ''.join(f'import hardnet_mm.{room}\n' for room in ROOMS.split())
    result = run(root, imports + RUN)
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_hook_sees_what_is_fetched(root):
    """Weights asked for by name are: that is what the test above would catch."""
    code = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/a')"
    result = run(root, code)
    assert result.returncode == 1 and 'socket.' in result.stderr


def pins(path):
    return dict(
        re.findall(r'^([\w.-]+==\S+?)(?: ; (.+?))?(?: \\)?$', path.read_text(), re.MULTILINE)
    )


def test_the_lock_has_the_versions_of_the_list_and_their_hashes(root):
    """`make lock` writes it; only what is for no system or Python is listed otherwise."""
    listed, locked = (pins(root / f'requirements/onedl.{end}') for end in ('txt', 'lock'))
    assert locked.keys() == listed.keys()
    packages = re.split(r'\n(?=\S)', (root / 'requirements/onedl.lock').read_text())
    assert len(packages) == len(locked)
    for package in packages:
        assert re.search(r'--hash=sha256:[0-9a-f]{64}', package), package


def test_the_page_lists_the_licence_of_every_package(root):
    """Of all in the lock, those for other systems and Pythons included."""
    _, _, table = (root / 'docs/support.md').read_text().partition('| licence | packages |')
    listed, locked = (
        {name.lower().replace('_', '-') for name in names}
        for names in (
            re.findall(r'[\w.-]+', table),
            re.findall(r'^([\w.-]+)==', (root / 'requirements/onedl.lock').read_text(), re.M),
        )
    )
    assert locked - listed == set()


def test_the_installation_takes_the_lock(root):
    install = (root / 'requirements/install.sh').read_text()
    assert 'packages=$here/$stack.lock' in install and 'install -r "$packages"' in install


def test_a_bill_of_materials_is_not_overwritten(root, tmp_path):
    """`make sbom` writes sbom.json; make stops at once where there is one."""
    shutil.copy(root / 'Makefile', tmp_path)
    (tmp_path / '.venv').mkdir()
    (tmp_path / '.venv/.installed').touch()
    (tmp_path / 'requirements').mkdir()
    for name in ('requirements/tools.txt', 'requirements/install.sh', 'setup.py'):
        (tmp_path / name).touch()
    command = ['make', '--dry-run', 'sbom']
    for status, words in ((0, 'mv sbom.json.part sbom.json'), (2, 'sbom.json is there already')):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == status and words in result.stdout + result.stderr
        (tmp_path / 'sbom.json').touch()
