"""HarDNet in the backbone's place of many configs of the toolboxes."""

import importlib.util
import logging
from pathlib import Path

import pytest

from hardnet_mm.utils.errors import InputError

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


def test_a_config_that_cannot_be_read_is_an_outcome(tmp_path):
    path = tmp_path / 'old.py'
    path.write_text("custom_imports = dict(imports=['nobodys.models'])\nmodel = dict(type='M')\n")
    outcome = tool.run(str(path), 'hardnet39ds')
    assert outcome.startswith('fails without HarDNet, too: ') and 'nobodys.models' in outcome


PAGE = f'# Title\n\nBefore.\n\n{tool.BEGIN}\n{tool.END}\n\nAfter.\n'


def columns():
    """Two stacks; the second was tried on less, and on another variant."""
    outcomes = {'mmdet::a/b_c-1x.py': 'works', 'mmseg::d/e.py': 'refused: [a | b]'}
    return dict(
        onedl=tool.Column('hardnet39ds', 'mmdet 3.5.1, torch 2.14.1', outcomes),
        openmmlab=tool.Column('hardnet68', 'mmdet 3.3.0, torch 2.1.2', {'mmseg::d/e.py': 'works'}),
    )


def test_a_page_holds_a_column_for_each_stack(tmp_path):
    page = tmp_path / 'swap.md'
    page.write_text(PAGE)
    tool.write(columns(), page)
    text = page.read_text()
    assert text.startswith('# Title\n\nBefore.\n\n<!--') and text.endswith('-->\n\nAfter.\n')
    assert '| onedl | hardnet39ds | mmdet 3.5.1, torch 2.14.1 | 2 | 1 | 1 | 0 | 0 |' in text
    assert '| mmdet::a/b_c-1x.py | works |  |\n| mmseg::d/e.py | refused: [a / b] | works |' in text
    wanted = columns()
    wanted['onedl'].outcomes['mmseg::d/e.py'] = 'refused: [a / b]'
    assert tool.read(page) == wanted
    tool.write(tool.read(page), page)
    assert page.read_text() == text


def test_a_page_without_a_place_for_the_tables_is_left_alone(tmp_path):
    page = tmp_path / 'swap.md'
    page.write_text('# Title\n')
    with pytest.raises(InputError, match='has no place for the tables'):
        tool.write(columns(), page)
    assert page.read_text() == '# Title\n'
    assert tool.read(tmp_path / 'none.md') == {}


@pytest.mark.parametrize('options, again', [([], 1), (['--redo'], 2), (['--arch', 'hardnet68'], 2)])
def test_a_run_that_was_broken_off_goes_on(options, again, tmp_path, monkeypatch):
    """What is there is not done again, unless it is asked for, and the other stack's is left."""
    page = tmp_path / 'swap.md'
    own, other = tool.installed_stack(), 'openmmlab'
    if own == other:
        other = 'onedl'
    there = {
        own: tool.Column(
            'hardnet39ds', tool.installed_versions(tool.CONFIGS), {'mmdet::a.py': 'works'}
        )
    }
    there[other] = tool.Column('hardnet85', 'mmdet 0', {'mmdet::a.py': 'refused: x'})
    tool.write(there, page)
    ran = []
    monkeypatch.setattr(tool, 'CONFIGS', dict(mmdet=['a', 'b'], mmseg=[], mmpretrain=[]))
    monkeypatch.setattr(tool, 'run', lambda name, arch: ran.append(name) or 'works')
    monkeypatch.setattr('sys.argv', ['backbone_swaps.py', '--out', str(page), *options])
    tool.main()
    logging.disable(logging.NOTSET)
    assert ran == ['mmdet::a.py', 'mmdet::b.py'][-again:]
    assert tool.read(page)[own].outcomes == {'mmdet::a.py': 'works', 'mmdet::b.py': 'works'}
    assert tool.read(page)[other] == there[other]


def test_the_page_of_other_toolboxes_has_a_place_for_theirs(root):
    others = {f'{box}::{name}.py' for box, names in tool.OTHER_CONFIGS.items() for name in names}
    for column in tool.read(root / 'docs/swap_in_projects.md').values():
        assert set(column.outcomes) <= others


def test_the_page_of_the_docs_is_of_these_configs(root):
    found = tool.read(root / 'docs/swap.md')
    assert list(found) == list(tool.STACKS)
    for column in found.values():
        assert list(column.outcomes) == NAMES
        assert {outcome.partition(':')[0] for outcome in column.outcomes.values()} <= {
            *tool.KINDS[:-1]
        }
