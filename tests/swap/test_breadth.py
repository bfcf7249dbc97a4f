"""HarDNet in the backbone's place of many configs of the toolboxes."""

import importlib.util
import logging
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/backbone_swaps.py'
spec = importlib.util.spec_from_file_location('backbone_swaps', TOOL)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

NAMES = [f'{toolbox}::{name}.py' for toolbox, names in tool.CONFIGS.items() for name in names]


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_swaps(name):
    """It works, is refused by design, or fails as the original does (where operators lack)."""
    logging.disable(logging.INFO)
    outcome = tool.run(name, 'hardnet39ds')
    logging.disable(logging.NOTSET)
    assert not outcome.startswith('fails: '), outcome
    if outcome.startswith('refused: '):
        assert name in tool.REFUSED, outcome
    assert name not in tool.REFUSED or outcome != 'works'


def test_rows_are_kept(tmp_path):
    """A run that was broken off goes on where it was."""
    outcomes = {'mmdet::a/b_c-1x.py': 'works', 'mmseg::d/e.py': 'refused: [a | b]'}
    tool.write(outcomes, 'hardnet39ds', tmp_path / 'swap.md')
    assert tool.read(tmp_path / 'swap.md') == {**outcomes, 'mmseg::d/e.py': 'refused: [a / b]'}
    assert 'hardnet39ds in 2 configs, 1 of them work' in (tmp_path / 'swap.md').read_text()
    assert tool.read(tmp_path / 'none.md') == {}


def test_the_tables_are_of_these_configs(root):
    for name in ('swap.md', 'swap_openmmlab.md'):
        outcomes = tool.read(root / 'docs' / name)
        assert set(outcomes) == set(NAMES)
        assert not any(outcome.startswith('fails: ') for outcome in outcomes.values())
