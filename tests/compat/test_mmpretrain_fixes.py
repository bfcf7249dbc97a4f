"""mmpretrain beside a transformers that its multimodal models cannot be imported with."""

import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest

from hardnet_mm.compat import mmpretrain_fixes

# Version 5 of transformers, as far as mmpretrain asks; what else it would import is not there.
PACKAGE = {
    'transformers/__init__.py': '',
    'transformers/pytorch_utils.py': 'def apply_chunking_to_forward(): ...\n'
    'def prune_linear_layer(): ...\n',
    'transformers-5.17.0.dist-info/METADATA': 'Metadata-Version: 2.1\nName: transformers\n'
    'Version: 5.17.0\n',
}
PROGRAM = """
import warnings, sys
sys.path.insert(0, sys.argv[1])
import hardnet_mm
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter('always')
    import mmpretrain.models
from mmpretrain.registry import MODELS
assert sys.modules['mmpretrain.utils.dependency'].WITH_MULTIMODAL is False
assert MODELS.get('LinearClsHead') and MODELS.get('ImageClassifier')
(one,) = [str(each.message) for each in said if 'multimodal' in str(each.message)]
print(one)
"""


@pytest.fixture
def transformers(tmp_path):
    for name, text in PACKAGE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.slow
def test_a_new_transformers_leaves_mmpretrain_whole(transformers):
    pytest.importorskip('pycocotools')
    result = subprocess.run(
        [sys.executable, '-c', PROGRAM, transformers], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'no find_pruneable_heads_and_indices.' in result.stdout


@pytest.mark.parametrize('has', [True, False])
def test_one_that_has_what_they_need_is_left_alone(transformers, monkeypatch, has):
    """As is an mmpretrain that does without them by itself."""
    if has:
        with (transformers / 'transformers/pytorch_utils.py').open('a') as file:
            file.write('def find_pruneable_heads_and_indices(): ...\n')
    monkeypatch.syspath_prepend(transformers)
    monkeypatch.delitem(sys.modules, 'transformers', raising=False)
    module = SimpleNamespace(WITH_MULTIMODAL=has)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        mmpretrain_fixes.check_transformers(module)
    assert module.WITH_MULTIMODAL is has
