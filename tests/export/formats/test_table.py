"""The table of formats."""

import itertools

from hardnet_mm.export.formats import FORMATS


def test_formats_with_one_stem_do_not_share_a_file():
    files = [kind.files(f'a/model.v1{kind.suffix}') for kind in FORMATS.values()]
    for first, second in itertools.combinations(files, 2):
        assert not set(first) & set(second)
