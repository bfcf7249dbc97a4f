"""The paper stands on a page: what the backbone's folder may import, and how long it may be."""

import ast

import pytest

FOLDER = 'hardnet_mm/backbones'
# layers and registry, and how wrong arguments of a config are refused
OURS = {(2, 'foundation'), (2, 'registry'), (2, 'utils.arguments'), (2, 'utils.errors')}
ALLOWED = {'torch', 'math', 'typing', 'itertools', 'collections'}


@pytest.fixture(scope='module')
def sources(root):
    return {path.name: path.read_text() for path in (root / FOLDER).glob('*.py')}


def test_imports_nothing_of_ours_but_layers_registry_and_error(sources):
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                assert {alias.name.partition('.')[0] for alias in node.names} <= ALLOWED, name
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert node.module.partition('.')[0] in ALLOWED, name
            elif isinstance(node, ast.ImportFrom):
                within = node.level == 1 and f'{node.module}.py' in sources
                assert within or (node.level, node.module) in OURS, (name, node.module)


@pytest.mark.parametrize(
    'name, limit', [('hardnet_block.py', 115), ('hardnet.py', 120), ('hardnet_v2.py', 190)]
)
def test_is_short(sources, name, limit):
    assert len(sources[name].splitlines()) <= limit
