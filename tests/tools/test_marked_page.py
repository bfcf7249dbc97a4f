import shutil

import pytest
from analysis_tools import list_operators, try_broken_files
from marked_page import split_page, write_between

from hardnet_mm.utils.errors import InputError


@pytest.mark.parametrize('tool', [list_operators, try_broken_files])
def test_the_pages_of_the_docs_have_a_place(tool, tmp_path):
    page = tmp_path / 'page.md'
    shutil.copy(tool.PAGE, page)
    before, between, after = split_page(page, tool.BEGIN, tool.END)
    assert between[0] == between[-1] == '\n' and '|---|' in between
    write_between(page, tool.BEGIN, tool.END, between[1:-1])
    assert page.read_text() == tool.PAGE.read_text()
    write_between(page, tool.BEGIN, tool.END, 'new')
    assert page.read_text() == f'{before}{tool.BEGIN}\nnew\n{tool.END}{after}'


@pytest.mark.parametrize('text', ['', '# Title\n', 'BEGIN\n', 'END BEGIN\n'])
def test_a_page_without_a_place_is_left_alone(text, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(text)
    with pytest.raises(InputError, match="page.md has no place for the tables: it needs 'BEGIN'"):
        write_between(page, 'BEGIN', 'END', 'new')
    assert page.read_text() == text


def test_a_missing_page_is_made(tmp_path):
    write_between(tmp_path / 'page.md', 'BEGIN', 'END', 'new')
    assert (tmp_path / 'page.md').read_text() == 'BEGIN\nnew\nEND\n'
