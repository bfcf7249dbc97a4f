"""docs/importing.md names everything that importing changes, in a fresh interpreter."""

import subprocess
import sys

import pytest

# Prints the names of what differs after the import.
PROGRAM = """
import importlib, sys
import mmcv.cnn, mmengine.hub, torch
from mmengine.config import Config, utils
from mmengine.infer import BaseInferencer
from mmengine.registry import root
from mmengine.runner import CheckpointLoader

owners = [Config, BaseInferencer, CheckpointLoader, mmengine.hub, utils]
owners.append(importlib.import_module('mmengine.hub.hub'))


def snapshot():
    found = {(type(finder).__name__, 'sys.meta_path'): 0 for finder in sys.meta_path}
    for owner in owners:
        for name, value in vars(owner).items():
            if not name.startswith('__') and name != '_schemes':
                found[id(owner), name] = dict(value) if isinstance(value, dict) else id(value)
    for name, registry in vars(root).items():
        if isinstance(registry, root.Registry):
            found.update({(name, key): 0 for key in registry.module_dict})
    found.update({(key, key): id(loader) for key, loader in CheckpointLoader._schemes.items()})
    if 'mmcv._ext' in sys.modules:
        found['', 'mmcv._ext'] = 0
    if hasattr(torch.serialization, 'get_safe_globals'):
        found['', 'add_safe_globals'] = len(torch.serialization.get_safe_globals())
    return found


before = snapshot()
import hardnet_mm
print(*sorted({name for (owner, name), value in snapshot().items()
               if (owner, name) not in before or before[owner, name] != value} - {''}))
"""
# Told together: the types of the hooks are in the page's second table.
SCHEMES = tuple(
    f'https://{host}' for host in ('ping-chao.com', 'github.com', 'bj.bcebos.com', 'huggingface.co')
)


@pytest.mark.slow
def test_the_page_names_every_change(root):
    command = [sys.executable, '-W', 'ignore', '-c', PROGRAM]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout
    changed = output.splitlines()[-1].split()
    assert {'HarDNet', 'fromfile', 'get_model', 'sys.meta_path', 'hardnet://'} <= set(changed)
    page = (root / 'docs/importing.md').read_text(encoding='utf-8')
    names = [name for name in changed if not name.startswith(SCHEMES)]
    assert [name for name in names if name not in page] == []


def test_the_api_page_has_every_module_that_changes_something(root):
    page = (root / 'docs/api/compat.md').read_text(encoding='utf-8')
    for path in (root / 'hardnet_mm/compat').glob('[a-z]*.py'):
        if path.stem != 'finder':  # its text is copied: environment documents it
            assert f'::: hardnet_mm.compat.{path.stem}\n' in page
