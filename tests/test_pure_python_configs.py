"""The configs in mmengine's pure-Python style: equal to the texts, key by key."""

import functools
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

from hardnet_mm.utils.configs import is_pure_python
from hardnet_mm.utils.pure_python import module_path, without_scopes
from hardnet_mm.utils.toolboxes import register_toolbox

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.name for path in (ROOT / 'configs').glob('*.py'))
FEW = ('centernet_hardnet85_416_coco.py', 'hardnet85_imagenet.py', 'mseg_hardnet68_kvasir.py')


@functools.cache
def registries(scope):
    import hardnet_mm.cls
    import hardnet_mm.det
    import hardnet_mm.seg  # noqa: F401

    values = vars(register_toolbox(scope)).values()
    return [value for value in values if isinstance(value, Registry) and value.scope == scope]


@functools.cache
def meanings(name, scope):
    """All that the toolbox's registries call so."""
    scope, _, name = name.rpartition('.') if '.' in name else (scope, '', name)
    return {id(entry) for registry in registries(scope) if (entry := registry.get(name))}


def compare(text, pure, scope, where):
    if isinstance(text, dict):
        assert isinstance(pure, dict) and pure.keys() == text.keys(), where
        for key, value in text.items():
            if key == 'type' and pure[key] != value:
                # the class by its whole name, and no other is called so
                assert {id(get_object_from_string(pure[key]))} == meanings(value, scope), where
            else:
                compare(value, pure[key], scope, f'{where}.{key}')
    elif isinstance(text, (list, tuple)):
        assert type(pure) is type(text) and len(pure) == len(text), where
        for index, (value, other) in enumerate(zip(text, pure)):
            compare(value, other, scope, f'{where}[{index}]')
    else:
        assert type(pure) is type(text) and pure == text, where


@pytest.mark.parametrize(
    'name', [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_equal(name):
    text = Config.fromfile(ROOT / 'configs' / name)
    pure = Config.fromfile(ROOT / 'hardnet_mm/configs' / module_path(ROOT / 'configs' / name))
    assert is_pure_python(pure)
    assert not callable(text.model.type) and callable(pure.model.type)
    compare(without_scopes(text.to_dict()), pure.to_dict(), text.default_scope, name)


def test_every_config_is_there():
    pure = {path.name for path in (ROOT / 'hardnet_mm/configs').glob('*.py')}
    assert pure - {'__init__.py'} == {module_path(ROOT / 'configs' / name) for name in NAMES}


@pytest.mark.slow
def test_written_by_the_tool(run_tool):
    """A text that is changed leaves its counterpart behind until the tool is run."""
    run_tool('pure_python_configs.py', '--check')
