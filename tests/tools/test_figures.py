import json
import re
import shlex
from pathlib import Path

import pytest

TOOL = 'analysis_tools/draw_figures.py'
PAGE = Path(__file__).parents[2] / 'docs/figures/README.md'


def commands():
    """Return the arguments of every command of docs/figures/README.md."""
    blocks = re.findall(r'^```\n(.*?)^```', PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(block.replace('\\\n', ' '))[2:] for block in blocks]


def texts(path):
    """Return what is written in an SVG, as matplotlib's comments tell it."""
    return re.findall(r'<!-- (.*?) -->', path.read_text(encoding='utf-8'))


@pytest.fixture
def draw(run_tool, tmp_path):
    def run(*arguments):
        run_tool(TOOL, *arguments, '--out', tmp_path / 'figure.svg')
        return texts(tmp_path / 'figure.svg')

    return run


def test_links_and_channels_of_a_block(draw):
    written = draw('links', '--layers', 16, '--growth-rate', 20)
    channels = '20 34 20 58 20 34 20 98 20 34 20 58 20 34 20 168'.split()
    assert written[17:33] == channels
    assert any('31 links; a DenseNet block has 136' in text for text in written)
    assert any('328 channels' in text for text in written)


def test_the_same_figure_is_the_same_file(run_tool, tmp_path):
    for name in 'ab':
        run_tool(TOOL, 'links', '--layers', 4, '--out', tmp_path / f'{name}.svg')
    assert (tmp_path / 'a.svg').read_bytes() == (tmp_path / 'b.svg').read_bytes()


@pytest.mark.parametrize(
    ('config', 'wanted'),
    [
        ('centernet_hardnet', 'block: 8 layers, k 16 → 142|142|16 of them to the output|→ 10'),
        ('ssd_hardnet', 'L2 norm of the channels|6 boxes a cell|192|stride 16'),
        ('fchardnet70', '48|78|160|214|320|1 × 1 → 11|stride 64|block: 4 layers, k 10 → 48'),
        ('hardnet39ds', 'block, depthwise: 16 layers, k 20 → 292|1024|linear → 10|dropout 0.05'),
    ],
)
def test_networks_as_their_configs_build_them(root, draw, config, wanted):
    path = root / f'configs/digits/{config}_digits.py'
    written = draw('network', path, '--size', 128, 128)
    for text in wanted.split('|'):
        assert any(line.strip().endswith(text) for line in written), (text, written)


def test_other_networks_are_refused(run_tool, tmp_path):
    config = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
    output = run_tool(TOOL, 'network', config, '--out', tmp_path / 'a.svg', fails=True)
    assert 'only a classifier, SSD, CenterNet or FC-HarDNet of HarDNet can be drawn' in output
    assert 'got RetinaNet of ResNet' in output
    assert not list(tmp_path.iterdir())


def result(**changes):
    common = dict(form='deploy, float32', seconds=[0.2, 0.1, 0.3])
    return {**common, 'model': 'HarDNet', 'published': '76.5 % top-1, ImageNet (x)', **changes}


def write_results(path, *results):
    path.write_text(json.dumps(dict(title='1 x 3 x 64 x 64', settings={}, results=results)))
    return path


def test_published_results_over_median_latency(draw, tmp_path):
    other = result(model='ResNet', published='70 % top-1, ImageNet (y)', seconds=[0.5])
    path = write_results(tmp_path / 'a.json', result(), other, result(model='VGG', published=''))
    written = draw('accuracy', path)
    assert {'HarDNet', 'ResNet'} <= set(written) and 'VGG' not in written
    assert any('published % top-1, ImageNet' in text for text in written)
    assert any('not measured here' in text for text in written)


def test_points_are_the_results(root, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(root / 'tools/analysis_tools'))
    from figures.accuracy import read_panels

    (panel,) = read_panels([write_results(tmp_path / 'a.json', result())])
    assert panel['points'] == [dict(name='HarDNet', latency=200.0, result=76.5, ours=True)]


@pytest.mark.parametrize(
    ('results', 'message'),
    [
        ([result(), result(published='30 AP, COCO (x)')], 'must be of one metric on one data set'),
        ([result(published='good')], "published must be as '78.7 mIoU, Cityscapes (mmseg)'"),
        ([result(published='')], 'must be of one metric on one data set, got []'),
        ([dict(model='HarDNet')], 'is no results.json of benchmark.py --out-dir'),
        ([result(seconds=[])], 'is no results.json of benchmark.py --out-dir'),
    ],
)
def test_results_that_cannot_be_drawn(run_tool, tmp_path, results, message):
    path = write_results(tmp_path / 'a.json', *results)
    output = run_tool(TOOL, 'accuracy', path, '--out', tmp_path / 'a.svg', fails=True)
    assert message in output and 'a.json' in output
    assert not (tmp_path / 'a.svg').exists()


def test_wrong_arguments(run_tool, tmp_path):
    out = tmp_path / 'a.svg'
    for arguments, message in (
        (('links', '--layers', 0, '--out', out), '--layers must be 1 to 32, got 0'),
        (('links', '--growth-rate', 1, '--out', out), '--growth-rate must be at least 2'),
        (('links', '--out', tmp_path / 'a.gif'), 'must be a new file that ends in .svg or .png'),
        (('network', tmp_path / 'no.py', '--out', out), 'there is no config'),
        (('accuracy', tmp_path / 'no.json', '--out', out), 'there is no file of results'),
    ):
        assert message in run_tool(TOOL, *arguments, fails=True)
    out.write_text('mine')
    assert 'is there already' in run_tool(TOOL, 'links', '--out', out, fails=True)
    assert out.read_text() == 'mine'


@pytest.mark.parametrize('command', commands(), ids=lambda command: Path(command[-1]).stem)
@pytest.mark.slow
def test_figures_of_the_documentation_are_of_today(root, run_tool, tmp_path, command):
    *arguments, option, path = command
    assert option == '--out'
    run_tool(TOOL, *arguments, option, tmp_path / 'figure.svg', cwd=root)
    assert texts(tmp_path / 'figure.svg') == texts(root / path)
