"""Packages that are missing, and files."""

import pytest

from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.formats.common import need
from hardnet_mm.utils.errors import InputError


def test_it_says_how_to_get_a_package():
    with pytest.raises(
        ImportError, match=r'needs no_such_thing, .*pip install .hardnet_mm\[export'
    ):
        need('no_such_thing')


@pytest.mark.parametrize('name', FORMATS)
def test_no_runtime_here_computes_in_float16(name, tmp_path):
    for file in FORMATS[name].files(tmp_path / f'model{FORMATS[name].suffix}'):
        file.write_text('')
    with pytest.raises(InputError, match=f'^{name} runs in float32.* here, got float16'):
        load(file.with_name(f'model{FORMATS[name].suffix}'), dtype='float16')


def test_a_missing_companion_is_named(tmp_path):
    (tmp_path / 'model.xml').write_text('')
    with pytest.raises(FileNotFoundError, match='there is no .*model.bin, which openvino needs'):
        load(tmp_path / 'model.xml')
    with pytest.raises(ValueError, match='is no exported file'):
        load(tmp_path / 'model.h5')
