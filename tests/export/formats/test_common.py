"""Packages that are missing, and files."""

import pytest

from hardnet_mm.export.formats import load
from hardnet_mm.export.formats.common import need


def test_it_says_how_to_get_a_package():
    with pytest.raises(
        ImportError, match=r'needs no_such_thing, .*pip install .hardnet_mm\[export'
    ):
        need('no_such_thing')


def test_a_missing_companion_is_named(tmp_path):
    (tmp_path / 'model.xml').write_text('')
    with pytest.raises(FileNotFoundError, match='there is no .*model.bin, which openvino needs'):
        load(tmp_path / 'model.xml')
    with pytest.raises(ValueError, match='is no exported file'):
        load(tmp_path / 'model.h5')
