"""Hostile and broken files, tried by the tools: the list that the table in docs/ is made of."""

import pytest
from analysis_tools.broken_files import all_cases, running

CASES = [
    pytest.param(heading, number, id=f'{heading}: {case.name}')
    for heading, cases in all_cases().items()
    for number, case in enumerate(cases)
]


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp('broken')
    with running.served(folder) as server:
        (shop,) = running.prepare(folder, server)
        yield shop


@pytest.mark.slow
@pytest.mark.parametrize('heading, number', CASES)
def test_a_broken_file(shop, heading, number):
    case = all_cases()[heading][number]
    if case.missing_packages:
        pytest.skip(f'{case.missing_packages} not installed')
    outcome = running.run(heading, number, shop)
    assert outcome.fault(case) is None, outcome.output[-5000:]


def test_the_page_lists_all(root):
    page = (root / 'docs/broken_files.md').read_text()
    names = [f'| {case.name} |' for cases in all_cases().values() for case in cases]
    assert [name for name in names if name not in page] == []
    assert page.count('\n| ') - page.count('| file; tried with |') == len(names)
