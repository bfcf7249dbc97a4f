import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.documents import blocks
from mmengine.structures import InstanceData

from hardnet_mm.utils.configs import build_model, read_config

TOOL = 'analysis_tools/draw_figures.py'
SHEET = 'analysis_tools/contact_sheet.py'
DETECTOR = 'configs/digits/centernet_hardnet_digits.py'
PAGE = Path(__file__).parents[2] / 'docs/figures/README.md'


def commands():
    """Return the arguments of every command of docs/figures/README.md that draws a figure."""
    code = [block.code.replace('\\\n', ' ') for block in blocks(PAGE, 'bash')]
    lines = [shlex.split(text, comments=True) for text in code]
    return [words[2:] for words in lines if words[1] == f'tools/{TOOL}']


def texts(path):
    """Return what is written in an SVG, as matplotlib's comments tell it."""
    return re.findall(r'<!-- (.*?) -->', path.read_text(encoding='utf-8'))


@pytest.fixture
def draw(run_tool, tmp_path):
    def run(*arguments):
        run_tool(TOOL, *arguments, '--out', tmp_path / 'figure.svg')
        return texts(tmp_path / 'figure.svg')

    return run


@pytest.mark.slow
def test_links_and_channels_of_a_block(draw):
    written = draw('links', '--layers', 16, '--growth-rate', 20)
    channels = '20 34 20 58 20 34 20 98 20 34 20 58 20 34 20 168'.split()
    assert written[17:33] == channels
    assert any('31 links; a DenseNet block has 136' in text for text in written)
    assert any('328 channels' in text for text in written)


@pytest.mark.slow
def test_the_same_figure_is_the_same_file(run_tool, tmp_path):
    for name in 'ab':
        run_tool(TOOL, 'links', '--layers', 4, '--out', tmp_path / f'{name}.svg')
    assert (tmp_path / 'a.svg').read_bytes() == (tmp_path / 'b.svg').read_bytes()


@pytest.mark.parametrize(
    ('config', 'wanted'),
    [
        ('centernet_hardnet', 'block: 8 layers, k 16 → 142|142|16 of them to the output|→ 10'),
        ('ssd_hardnet', 'L2 norm of the channels|4 boxes per position|192|stride 16'),
        ('rfb_hardnet', 'RFB-s: 4 branches → 128|RFB: 2 branches → 192|3 × 3 → 128|stride 16'),
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
    assert 'only a classifier, SSD, RFBNet, CenterNet or FC-HarDNet of HarDNet' in output
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


@pytest.fixture(scope='module')
def sheet_arguments(root, digits, tmp_path_factory):
    """The arguments of contact_sheet.py for a CenterNet of random weights, but for --out."""
    path = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.manual_seed(0)  # others cover the images with boxes
    state = build_model(read_config(str(root / DETECTOR))).state_dict()
    torch.save(dict(state_dict=state, meta={}), path)
    options = ('--cfg-options', f'test_dataloader.dataset.data_root={digits}/')
    return root / DETECTOR, path, *options


def test_a_contact_sheet(run_tool, digits, sheet_arguments, tmp_path):
    out = tmp_path / 'sheet.png'
    grid = ('--images', 5, '--columns', 3, '--enlarge', 1)
    output = run_tool(SHEET, *sheet_arguments, '--out', out, *grid)
    coco = json.loads((digits / 'annotations/val.json').read_text())
    first = sorted(image['id'] for image in coco['images'])[:5]
    objects = sum(annotation['image_id'] in first for annotation in coco['annotations'])
    assert (
        f'the first 5 of 6 test images, boxes of a score of 0.3 or more: {objects} objects'
        in output
    )
    sheet = cv2.imread(str(out))
    assert sheet.shape == (2 * 96 + 6, 3 * 96 + 2 * 6, 3)
    assert (sheet[:, 96:102] == 255).all() and (sheet[102:, 204:] == 255).all()
    photo = cv2.imread(str(digits / 'val/000001.jpg'))
    near = np.abs(sheet[:96, 102:198].astype(int) - photo).max(axis=2) < 40
    assert near.mean() > 0.5  # the second image stands where it should, under its boxes


@pytest.mark.slow
def test_a_contact_sheet_with_heatmaps(run_tool, sheet_arguments, tmp_path):
    out = tmp_path / 'sheet.jpg'
    run_tool(SHEET, *sheet_arguments, '--out', out, '--images', 1, '--heatmaps', '--enlarge', 2)
    assert cv2.imread(str(out)).shape == (192, 384, 3)
    assert 'is there already' in run_tool(SHEET, *sheet_arguments, '--out', out, fails=True)


def test_a_contact_sheet_of_another_model(run_tool, sheet_arguments, tmp_path):
    config, _, *options = sheet_arguments
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'other.pth')
    arguments = (config, tmp_path / 'other.pth', *options, '--out', tmp_path / 'sheet.png')
    output = run_tool(SHEET, *arguments, fails=True)
    assert 'other.pth is not one of this config' in output and 'Traceback' not in output


def test_heatmaps_are_centernets_only(root, run_tool, tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'weights.pth')
    ssd = root / 'configs/digits/ssd_hardnet_digits.py'
    arguments = (ssd, tmp_path / 'weights.pth', '--heatmaps', '--out', tmp_path / 'sheet.jpg')
    output = run_tool(SHEET, *arguments, fails=True)
    assert '--heatmaps needs a CenterNet: the model of ' in output
    assert output.strip().endswith('is a SingleStageDetector')
    assert not (tmp_path / 'sheet.jpg').exists()


def test_found_missed_and_wrong_boxes(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / 'tools/analysis_tools'))
    from contact_sheet import count_found

    corners = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]
    objects = InstanceData(bboxes=torch.tensor(corners).float(), labels=torch.tensor([1, 1, 2]))
    found = [
        ([0, 0, 10, 9], 1, 0.9),  # right
        ([0, 1, 10, 10], 1, 0.8),  # a second one of the same
        ([20, 0, 30, 10], 2, 0.7),  # of another class
        ([40, 0, 50, 4], 2, 0.6),  # less than half of it
    ]
    boxes = InstanceData(
        bboxes=torch.tensor([box for box, _, _ in found]).float(),
        labels=torch.tensor([label for _, label, _ in found]),
        scores=torch.tensor([score for _, _, score in found]),
    )
    assert count_found(objects, boxes) == (3, 1, 3)
    assert count_found(objects, boxes[:0]) == (3, 0, 0)
