"""The examples in docstrings are run, as the pages' code blocks are."""

import doctest
import importlib

import pytest
import torch
from helpers.documents import ROOT

from hardnet_mm.utils.toolboxes import TOOLBOXES, register_toolbox

# with examples of which at least one is run
MODULES = [
    '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    for path in sorted((ROOT / 'hardnet_mm').rglob('*.py'))
    if any('>>> ' in line and 'SKIP' not in line for line in path.read_text().splitlines())
]


@pytest.mark.parametrize('name', MODULES)
def test_examples_in_docstrings(name):
    for toolbox in TOOLBOXES:  # some print as they are imported
        register_toolbox(toolbox)
    module = importlib.import_module(name)
    examples = doctest.DocTestFinder().find(module, extraglobs=dict(torch=torch))
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for example in examples:
        runner.run(example)
    assert runner.tries and not runner.failures
