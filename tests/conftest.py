import json
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
sys.path.insert(0, str(TESTS))  # stand_in


@pytest.fixture(scope='session')
def golden():
    """Return a function that reads the outputs of an original program on stand-in weights."""

    def read(name):
        return json.loads((TESTS / 'data' / f'{name}.json').read_text())

    return read


@pytest.fixture(scope='session')
def root():
    return ROOT
