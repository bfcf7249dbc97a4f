import os
import pickle
from pathlib import Path

import pytest


@pytest.fixture
def moved(monkeypatch):
    """The content of each file at the moment when it is moved to its place."""
    found = []

    def noting(move):
        def note_and_move(source, target):
            found.append(Path(source).read_bytes())
            return move(source, target)

        return note_and_move

    for name in ('rename', 'replace'):
        monkeypatch.setattr(os, name, noting(getattr(os, name)))
    return found


def test_a_cached_grammar_is_whole_when_it_is_there(moved, tmp_path):
    grammar = pytest.importorskip('yapf_third_party._ylib2to3.pgen2.grammar')
    grammar.Grammar().dump(str(tmp_path / 'grammar.pickle'))
    assert [pickle.loads(content)['start'] for content in moved] == [256]
    loaded = grammar.Grammar()
    loaded.load(tmp_path / 'grammar.pickle')
    assert os.listdir(tmp_path) == ['grammar.pickle'] and loaded.start == 256
