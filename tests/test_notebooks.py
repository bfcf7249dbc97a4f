"""The notebooks run from beginning to end, where a checkout is and nothing was made yet."""

import os
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / 'examples/notebooks'
NOTEBOOKS = sorted(FOLDER.glob('*.ipynb'))
# what the last cell that prints something must say, as a regular expression
PRINTED = dict(
    export_and_run=r'\d+ of 40 digits are classified rightly',
    segment=r'\d+% of the pixels are of a digit',
    swap_and_finetune=r'[1-9]\d* boxes, the best of a score of 0\.\d+',
)


@pytest.fixture(scope='module')
def nbformat():
    return pytest.importorskip('nbformat', reason='pip install nbclient ipykernel')


def test_there_is_a_notebook_of_each_task():
    assert [path.stem for path in NOTEBOOKS] == sorted(PRINTED)


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_stored(nbformat, path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get('outputs') and cell.get('execution_count') is None


@pytest.mark.slow
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(nbformat, root, path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip('nbclient', reason='pip install nbclient ipykernel')
    for name in ('configs', 'tools'):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    search = [os.path.dirname(sys.executable), os.environ['PATH']]
    monkeypatch.setenv('PATH', os.pathsep.join(search))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=900, resources=dict(metadata=dict(path=str(tmp_path)))
    )
    client.execute()
    assert re.search(PRINTED[path.stem], written(notebook))


def written(notebook):
    """Return all that the cells of an executed notebook have printed."""
    return ''.join(
        output.get('text', '') for cell in notebook.cells for output in cell.get('outputs', ())
    )
