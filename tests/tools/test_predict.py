"""tools/predict.py on what people have, the unreadable included."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.documents import table
from helpers.exported import filled, skip_without
from helpers.pictures import image, read_video, write_video
from helpers.small_dfus import SMALL_PARTS
from mmengine.config import Config
from pycocotools.coco import COCO

from hardnet_mm.export.formats import FORMATS
from hardnet_mm.utils.configs import build_model, read_config

PAGE = Path(__file__).parents[2] / 'docs/predict.md'
SSD = 'configs/digits/ssd_hardnet_digits.py'
CLASSIFIER = 'configs/digits/hardnet39ds_digits.py'
MODELS = ('ssd_hardnet', 'fchardnet70', 'hardnet39ds', 'mseg_hardnet')


def read(folder, name):
    return json.loads((folder / name).read_text())


@pytest.fixture(scope='module')
def weights(root, tmp_path_factory):
    """A checkpoint of each task, on stand-in weights."""
    folder = tmp_path_factory.mktemp('weights')
    for name in MODELS:
        cfg = Config.fromfile(root / f'configs/digits/{name}_digits.py')
        state = filled(build_model(cfg)).state_dict()
        torch.save(dict(state_dict=state, meta={}), folder / f'{name}.pth')
    return folder


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """A folder with a folder in it, and what is no image beside the images."""
    folder = tmp_path_factory.mktemp('pictures')
    (folder / 'inner').mkdir()
    for number, name in enumerate(('a.jpg', 'b.png', 'inner/a.jpg')):
        assert cv2.imwrite(str(folder / name), image(number))
    (folder / 'notes.txt').write_text('no image')
    return folder


@pytest.fixture
def predict(root, run_tool, weights, tmp_path):
    """Return a function that runs the tool, and returns its output and its folder."""

    def run(model, *inputs, status=0, options=('--score-thr', 0.01)):
        out = tmp_path / 'out'
        config = root / f'configs/digits/{model}_digits.py'
        command = ('predict.py', config, weights / f'{model}.pth', *inputs, '--out-dir', out)
        return run_tool(*command, *options, fails=status != 0), out

    return run


def test_a_detector_in_a_folder(predict, pictures):
    output, out = predict('ssd_hardnet', pictures, options=['--score-thr', 0.01, '--batch-size', 2])
    assert '3 images, ' in output and ' images/s: reading ' in output
    names = ['a.jpg', 'b.jpg', 'inner/a.jpg']
    assert sorted(str(p.relative_to(out / 'drawn')) for p in out.rglob('*.jpg')) == names
    assert cv2.imread(str(out / 'drawn/inner/a.jpg')).shape == (48, 64, 3)
    coco = COCO(out / 'images.json')
    assert [entry['file_name'] for entry in coco.loadImgs(coco.getImgIds())] == [
        str(pictures / name) for name in ('a.jpg', 'b.png', 'inner/a.jpg')
    ]
    assert [entry['name'] for entry in coco.loadCats(coco.getCatIds())] == list('0123456789')
    found = coco.loadRes(str(out / 'predictions.json')).loadAnns([1, 2, 3])
    assert all(entry['score'] >= 0.01 and len(entry['bbox']) == 4 for entry in found)
    assert not list(out.glob('.new-*'))


def test_predictions_are_those_of_mmdets_inferencer(predict, root, weights, pictures):
    from mmdet.apis import DetInferencer

    path = pictures / 'b.png'
    _, out = predict('ssd_hardnet', path)
    config = root / 'configs/digits/ssd_hardnet_digits.py'
    inferencer = DetInferencer(str(config), str(weights / 'ssd_hardnet.pth'), 'cpu')
    (wanted,) = inferencer(str(path))['predictions']
    kept = [i for i, score in enumerate(wanted['scores']) if score >= 0.01]
    found = read(out, 'predictions.json')
    assert len(found) == len(kept) > 0
    boxes = np.array([entry['bbox'] for entry in found])
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(boxes, [wanted['bboxes'][i] for i in kept], atol=1e-3)
    assert [entry['category_id'] - 1 for entry in found] == [wanted['labels'][i] for i in kept]


def test_only_the_classes_asked_for(predict, pictures):
    options = ['--score-thr', 0.01, '--classes', '3', '7', '--no-draw']
    _, out = predict('ssd_hardnet', pictures / 'a.jpg', options=options)
    found = {entry['category_id'] for entry in read(out, 'predictions.json')}
    assert found and found <= {4, 8}
    assert not (out / 'drawn').exists()


def test_a_segmentor_by_a_pattern(predict, pictures):
    options = ['--deploy', 'float32', '--classes', 'background', '1', '2']
    output, out = predict('fchardnet70', pictures / '**/*.jpg', options=options)
    assert '2 images, ' in output
    maps = [cv2.imread(str(out / f'labels/{name}.png'), -1) for name in ('a', 'a-2')]
    for labels in maps:
        assert labels.shape == (48, 64) and labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {0, 2, 3, 255}
    assert (np.array(maps) == 255).any() and (np.array(maps) != 255).any()
    assert len(read(out, 'images.json')['categories']) == 11
    assert not (out / 'predictions.json').exists()


def maps_of(folder):
    """The label maps and the maps of probabilities in a run's folder, by name."""
    return [
        {path.stem: cv2.imread(str(path), -1) for path in sorted((folder / name).glob('*.png'))}
        for name in ('labels', 'probabilities')
    ]


def assert_foreground(labels, probabilities):
    """Two labels, and the probabilities that they follow from."""
    assert labels.keys() == probabilities.keys()
    for name, found in labels.items():
        assert found.dtype == probabilities[name].dtype == np.uint8
        assert set(np.unique(found)) == {0, 1} and len(np.unique(probabilities[name])) > 2
        sure = abs(probabilities[name] - 127.5) > 1
        np.testing.assert_array_equal(found[sure], probabilities[name][sure] > 127)


def test_one_foreground(predict, root, weights, pictures):
    """A map of two labels, and one of probabilities, at the image's own size."""
    from mmseg.apis import MMSegInferencer

    _, out = predict('mseg_hardnet', pictures / 'a.jpg', options=[])
    labels, probabilities = maps_of(out)
    assert list(labels) == ['a']
    assert_foreground(labels, probabilities)
    drawn = cv2.imread(str(out / 'drawn/a.jpg'))
    assert labels['a'].shape == drawn.shape[:2] == (48, 64)
    config = str(root / 'configs/digits/mseg_hardnet_digits.py')
    segment = MMSegInferencer(config, str(weights / 'mseg_hardnet.pth'), device='cpu')
    wanted = segment(str(pictures / 'a.jpg'))['predictions']
    np.testing.assert_array_equal(labels['a'], wanted)
    categories = [entry['name'] for entry in read(out, 'images.json')['categories']]
    assert categories == ['background', 'digit']


@pytest.fixture(scope='module')
def dfus(root, tmp_path_factory):
    """A config of HarDNet-DFUS with small parts, and the checkpoints of two folds."""
    folder = tmp_path_factory.mktemp('dfus')
    config = folder / 'dfus.py'
    config.write_text(
        f'_base_ = {str(root / "configs/dfus_hardnetv2-53_kvasir.py")!r}\n'
        f'model = dict({SMALL_PARTS})\n'
        'test_pipeline = _base_.test_pipeline\n'
        'test_pipeline[1].scale = (128, 128)\n'
        'test_dataloader = dict(dataset=dict(pipeline=test_pipeline))\n'
    )
    model = filled(build_model(read_config(str(config))))
    paths = [folder / f'fold-{fold}.pth' for fold in range(2)]
    for shift, path in zip((-0.5, 0.5), paths):
        model.decode_head.conv_seg.bias.data.fill_(shift)
        torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return config, paths


def test_folds_are_averaged(run_tool, dfus, pictures, tmp_path):
    """Of HarDNet-DFUS: each fold alone, and both."""
    config, (first, second) = dfus
    found = []
    for name, folds in (('a', [first]), ('b', [second]), ('ab', [first, second])):
        command = ('predict.py', config, *folds, pictures / 'a.jpg', '--no-draw')
        run_tool(*command, '--out-dir', tmp_path / name)
        labels, probabilities = maps_of(tmp_path / name)
        sure = abs(probabilities['a'] - 127.5) > 1
        np.testing.assert_array_equal(labels['a'][sure], probabilities['a'][sure] > 127)
        found.append(probabilities['a'].astype(float))
    assert abs(found[0] - found[1]).max() > 9
    np.testing.assert_allclose(found[2], (found[0] + found[1]) / 2, atol=1.01)


def test_only_segmentors_are_averaged(predict, run_tool, root, weights, pictures):
    other = weights / 'hardnet39ds.pth'
    output, out = predict('ssd_hardnet', other, pictures, status=2, options=[])
    assert 'several checkpoints are averaged for segmentors alone' in output.splitlines()[-1]
    checkpoints = [weights / 'ssd_hardnet.pth'] * 2
    output = run_tool('test.py', root / SSD, *checkpoints, '--work-dir', out, fails=True)
    assert 'several checkpoints are averaged for segmentors alone' in output.splitlines()[-1]
    output, _ = predict('fchardnet70', 'model.onnx', pictures, status=2, options=[])
    assert 'no checkpoint or exported file model.onnx' in output.splitlines()[-1]
    assert not out.exists()


def test_a_classifier_at_an_address(predict, pictures, server):
    server.files = {'pictures/a.jpg': (pictures / 'a.jpg').read_bytes()}
    address = f'{server.address}pictures/a.jpg'
    output, out = predict('hardnet39ds', address, options=[])
    assert '1 images, ' in output and server.requests == ['pictures/a.jpg']
    (entry,) = read(out, 'predictions.json')
    assert entry['image_id'] == 1 and len(entry['labels']) == 5
    assert entry['scores'] == sorted(entry['scores'], reverse=True)
    assert entry['classes'] == [str(label) for label in entry['labels']]
    assert min(cv2.imread(str(out / 'drawn/a.jpg')).shape[:2]) == 224
    server.cut = 10
    shutil.rmtree(out)
    output, out = predict('hardnet39ds', address, f'{server.address}b.jpg', status=1, options=[])
    assert f'skipped: {address} could not be downloaded' in output
    assert 'b.jpg could not be downloaded (HTTP Error 404' in output
    assert 'nothing was predicted' in output and not out.exists()


def test_a_video(predict, tmp_path):
    path = write_video(tmp_path / 'clip.mp4', 5)
    output, out = predict('ssd_hardnet', path, options=['--score-thr', 0.01, '--batch-size', 2])
    assert '5 images, ' in output
    drawn = read_video(out / 'drawn/clip.mp4')
    assert len(drawn) == 5 and drawn[0].shape == (48, 64, 3)
    assert [entry['frame'] for entry in read(out, 'images.json')['images']] == [0, 1, 2, 3, 4]


@pytest.fixture
def unreadable(tmp_path, pictures):
    """Paths of what cannot be read, each with what is said of it."""
    folder = tmp_path / 'unreadable'
    folder.mkdir()
    for suffix, source in (('jpg', 'a.jpg'), ('png', 'b.png')):
        content = (pictures / source).read_bytes()
        (folder / f'cut.{suffix}').write_bytes(content[: len(content) // 2])
    (folder / 'empty.jpg').write_bytes(b'')
    (folder / 'page.jpg').write_text('<html></html>')
    cv2.imwrite(str(folder / 'tiny.png'), image(size=(1, 1)))
    content = write_video(folder / 'cut.mp4', 5).read_bytes()
    (folder / 'cut.mp4').write_bytes(content[: len(content) // 2])
    content = write_video(folder / 'cut.avi', 60, 'MJPG').read_bytes()
    (folder / 'cut.avi').write_bytes(content[: len(content) // 2])
    (folder / 'text.mp4').write_text('no video')
    said = {
        row['such as'].strip('`'): row['what is said'].strip('`')
        for row in table(PAGE, 'input', 'such as', 'what is said')
    }
    return {name if '.' not in name or '/' in name else folder / name: said[name] for name in said}


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(predict, pictures, unreadable):
    """All of the page's table. The digits' classifier takes images as they are."""
    inputs = [*unreadable, pictures / 'a.jpg']
    output, out = predict('hardnet39ds', *inputs, status=1, options=['--no-draw'])
    for path, words in unreadable.items():
        place = f'camera {path}' if str(path).isdigit() else path
        assert any(
            line.startswith(f'skipped: {place}') and words in line for line in output.splitlines()
        ), path
    assert f'{len(unreadable)} of {len(inputs)} inputs skipped' in output
    images = read(out, 'images.json')['images']
    assert images[-1]['file_name'] == str(pictures / 'a.jpg')
    assert len(images) == len(read(out, 'predictions.json')) > 1  # frames before the cut


def test_mistakes_are_told_before_anything_else(root, run_tool, weights, pictures, tmp_path):
    """All of the page's table; what needs the model comes last."""
    rows = table(PAGE, 'mistake', 'such as', 'what is said')
    (tmp_path / 'nothing').mkdir()
    start = ('predict.py', root / CLASSIFIER, weights / 'hardnet39ds.pth')
    for row in rows:
        given, words = (row[title].strip('`') for title in ('such as', 'what is said'))
        options = given.split() if given.startswith('--') else []
        inputs = [pictures / 'a.jpg'] if options else given.split()
        out = [] if '--out-dir' in options else ['--out-dir', 'out']
        output = run_tool(*start, *inputs, *options, *out, fails=True, cwd=tmp_path)
        last = output.splitlines()[-1]
        assert last.startswith('predict.py: error: ') and words in last, (row, last)
        assert not (tmp_path / 'out').exists()


def test_an_exported_file(predict, run_tool, root, weights, pictures, tmp_path):
    skip_without('onnx')
    config, path = root / 'configs/digits/ssd_hardnet_digits.py', tmp_path / 'model.onnx'
    arguments = ('--format', 'onnx', '--out', path, '--images', pictures / 'a.jpg')
    run_tool('export.py', config, weights / 'ssd_hardnet.pth', *arguments)
    _, out = predict('ssd_hardnet', pictures, options=['--score-thr', 0.05, '--no-draw'])
    other = tmp_path / 'exported'
    command = ('predict.py', config, path, pictures, '--score-thr', 0.05, '--out-dir', other)
    run_tool(*command, '--no-draw', '--batch-size', 2)
    wanted, found = (read(folder, 'predictions.json') for folder in (out, other))
    assert len(found) == len(wanted) > 0
    for key in ('score', 'bbox'):
        values = [np.array([entry[key] for entry in entries]) for entries in (found, wanted)]
        np.testing.assert_allclose(*values, atol=1e-2)
    assert read(other, 'images.json') == read(out, 'images.json')


@pytest.mark.slow
@pytest.mark.parametrize('format_name', ['onnx', 'openvino'])
def test_an_exported_file_of_one_foreground(
    predict, run_tool, root, weights, pictures, tmp_path, format_name
):
    """Its labels; probabilities are not in it."""
    skip_without(format_name)
    config = root / 'configs/digits/mseg_hardnet_digits.py'
    path = tmp_path / f'model{FORMATS[format_name].suffix}'
    arguments = ('--format', format_name, '--out', path, '--images', pictures / 'a.jpg')
    run_tool('export.py', config, weights / 'mseg_hardnet.pth', *arguments)
    _, out = predict('mseg_hardnet', pictures / 'a.jpg', options=['--no-draw'])
    other = tmp_path / 'exported'
    run_tool('predict.py', config, path, pictures / 'a.jpg', '--out-dir', other, '--no-draw')
    (wanted, probabilities), (found, none) = maps_of(out), maps_of(other)
    sure = abs(probabilities['a'] - 127.5) > 1
    np.testing.assert_array_equal(found['a'][sure], wanted['a'][sure])
    assert not none and found['a'].shape == (48, 64)


def test_a_published_model_by_its_name(run_tool, cache, publish, original, pictures, tmp_path):
    """Its downloaded weights, and ImageNet's names."""
    publish(original)
    weights = tmp_path / 'served.pth'
    command = ('predict.py', 'hardnet39ds', weights, pictures / 'a.jpg', '--no-draw')
    run_tool(*command, '--out-dir', tmp_path / 'out')
    (entry,) = read(tmp_path / 'out', 'predictions.json')
    categories = read(tmp_path / 'out', 'images.json')['categories']
    assert len(categories) == 1000
    assert entry['classes'][0] == categories[entry['labels'][0]]['name']


@pytest.mark.slow
def test_ctrl_c_in_a_process_of_its_own(root, weights, tmp_path):
    path, out = write_video(tmp_path / 'clip.avi', 3000, 'MJPG'), tmp_path / 'out'
    config = 'configs/digits/ssd_hardnet_digits.py'
    command = [sys.executable, 'tools/predict.py', config, weights / 'ssd_hardnet.pth', path]
    command = [*map(str, command), '--out-dir', str(out)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        while not list(out.glob('drawn/.new-*')):
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert 0 < len(read_video(out / 'drawn/clip.mp4')) < 3000
