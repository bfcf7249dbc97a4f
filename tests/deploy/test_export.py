"""Real files in their real runtimes; a format whose package is missing is skipped."""

import copy
import importlib

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from stand_in import fill_tensor

from hardnet_mm import HarDNet
from hardnet_mm.deploy import to_deploy
from hardnet_mm.deploy.export import compare, export
from hardnet_mm.deploy.formats import FORMATS, load, need
from hardnet_mm.deploy.quantize import QUANTIZERS
from hardnet_mm.deploy.whole import NonMaxSuppression, as_whole
from hardnet_mm.model_config import build_model, read_config

PACKAGES = dict(
    onnx=('onnx', 'onnxruntime'),
    openvino=('onnx', 'openvino'),
    torch=(),
    mnn=('onnx', 'MNN'),
    ncnn=('ncnn', 'pnnx'),
)
MODELS = ['ssd_hardnet', 'centernet_hardnet', 'fchardnet70', 'hardnet39ds']


def skip_without(*packages):
    for package in packages:
        pytest.importorskip(package)


@pytest.fixture(scope='module')
def models(root):
    """The digits models on stand-in weights, each built once."""
    built = {}

    def get(name):
        if name not in built:
            cfg = Config.fromfile(root / f'configs/digits/{name}_digits.py')
            model = build_model(cfg)
            state = {
                key: fill_tensor(key, tuple(value.shape))
                for key, value in model.state_dict().items()
                if not key.startswith('data_preprocessor')
            }
            model.load_state_dict(state, strict=False)
            if name == 'centernet_hardnet':  # scores that differ, boxes within the image
                model.bbox_head.heatmap_head[-1].weight.data *= 0.1
            elif name == 'ssd_hardnet':
                for conv in (*model.bbox_head.cls_convs, *model.bbox_head.reg_convs):
                    conv[0].weight.data *= 0.03
            built[name] = model.eval(), cfg
        return built[name]

    return get


def random_images(count=1, size=(128, 128)):
    torch.manual_seed(0)
    return torch.randint(0, 256, (count, 3, *size)).float()


def samples(cfg, images):
    structures = importlib.import_module(f'{cfg.default_scope}.structures')
    kind = dict(mmdet='DetDataSample', mmseg='SegDataSample', mmpretrain='DataSample')
    size = tuple(images.shape[-2:])
    meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), batch_input_shape=size)
    return [getattr(structures, kind[cfg.default_scope])(metainfo=meta) for _ in images]


def predictions(model, cfg, images):
    """The model's own, by its test_step."""
    batch = dict(inputs=[image.byte() for image in images], data_samples=samples(cfg, images))
    with torch.no_grad():
        return model.test_step(batch)


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('inside', ['nms', 'decode', 'network'])
def test_a_whole_model_predicts_as_the_model(models, name, inside):
    model, cfg = models(name)
    whole = as_whole(to_deploy(model), inside).eval()
    images = random_images(2)
    with torch.no_grad():
        outputs = whole(images)
    arrays = {key: output.numpy() for key, output in zip(whole.names, outputs)}
    found = as_whole(model).attach(arrays, samples(cfg, images))
    for mine, wanted in zip(found, predictions(model, cfg, images)):
        assert_equal(compare(mine, wanted))


def assert_equal(distances):
    assert distances.pop('count', 0) == 0
    assert distances.pop('boxes, pixels', 0) < 1e-2
    assert distances.pop('labels, share', 0) < 1e-3
    assert distances.pop('scores', 0) < 1e-4
    assert not distances


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('format_name', FORMATS)
def test_files_run(models, name, format_name, tmp_path):
    skip_without(*PACKAGES[format_name])
    model, cfg = models(name)
    kind = FORMATS[format_name]
    whole = as_whole(to_deploy(model, channels_last=False), kind.inside).eval()
    path = tmp_path / f'model{kind.suffix}'
    export(whole, random_images(), path, format_name)
    images = random_images(2)
    found = as_whole(model).attach(load(path)(images.numpy()), samples(cfg, images))
    for mine, wanted in zip(found, predictions(model, cfg, images)):
        assert_equal(compare(mine, wanted))


@pytest.mark.parametrize('name', ['centernet_hardnet', 'fchardnet70', 'hardnet39ds'])
def test_onnx_takes_other_sizes(models, name, tmp_path):
    skip_without(*PACKAGES['onnx'])
    model, cfg = models(name)
    path = tmp_path / 'model.onnx'
    export(as_whole(to_deploy(model, channels_last=False)).eval(), random_images(), path, 'onnx')
    images = random_images(1, (101, 150))
    found = as_whole(model).attach(load(path)(images.numpy()), samples(cfg, images))
    assert_equal(compare(found[0], predictions(model, cfg, images)[0]))


@pytest.mark.parametrize('format_name', QUANTIZERS)
def test_int8_is_smaller_and_near(models, format_name, tmp_path):
    skip_without(*PACKAGES[format_name], *(['nncf'] if format_name == 'openvino' else []))
    model, cfg = models('hardnet39ds')
    whole = as_whole(to_deploy(model, channels_last=False)).eval()
    images = random_images(1)
    suffix = FORMATS[format_name].suffix
    quantize = QUANTIZERS[format_name]
    batches = [image[None].numpy() for image in random_images(4)]
    export(whole, images, tmp_path / f'float{suffix}', format_name)
    export(
        whole, images, tmp_path / f'int8{suffix}', format_name, lambda path: quantize(path, batches)
    )
    weights = [
        max(file.stat().st_size for file in tmp_path.glob(f'{name}.*'))
        for name in ('float', 'int8')
    ]
    assert weights[1] < 0.5 * weights[0]
    scores = [
        load(tmp_path / f'{name}{suffix}')(images.numpy())['scores'] for name in ('float', 'int8')
    ]
    assert 0 < np.abs(scores[0] - scores[1]).max() < 0.5


@pytest.mark.parametrize('name', MODELS)
def test_onnx_int8_holds_every_convolution_of_the_network(models, name, tmp_path):
    skip_without(*PACKAGES['onnx'])
    model, _ = models(name)
    path = tmp_path / 'model.onnx'
    export(as_whole(to_deploy(model, channels_last=False)).eval(), random_images(1), path, 'onnx')
    QUANTIZERS['onnx'](path, [random_images(1).numpy()])
    nodes = pytest.importorskip('onnx').load(path).graph.node
    producers = {output: node.op_type for node in nodes for output in node.output}
    convolutions = [node for node in nodes if node.op_type == 'Conv']
    assert convolutions
    for node in convolutions:
        assert [producers[tensor] for tensor in node.input[:2]] == ['DequantizeLinear'] * 2


def test_the_example(root, run_tool, models, tmp_path):
    """Without mm, it prints and draws the boxes that the file gives."""
    skip_without(*PACKAGES['onnx'])
    model, _ = models('ssd_hardnet')
    path, source, drawn = (tmp_path / name for name in ('model.onnx', 'image.png', 'drawn.png'))
    images = random_images(1, (192, 192))
    export(as_whole(to_deploy(model, channels_last=False)).eval(), images, path, 'onnx')
    cv2.imwrite(str(source), images[0].permute(1, 2, 0).byte().numpy())
    lines = run_tool('../examples/onnxruntime/detect.py', path, source, drawn).splitlines()
    (wanted,) = load(path)(images.numpy()).values()
    wanted = wanted[wanted[:, 2] > 0.3]
    assert len(lines) == len(wanted) > 0
    for line, (_, label, score, *box) in zip(lines, wanted):
        assert line.startswith(f'{int(label)}: {score:.2f} ')
        assert np.abs(np.array(line.split()[2:], float) - box).max() <= 0.51
    assert (cv2.imread(str(source)) != cv2.imread(str(drawn))).any()
    missing = run_tool('../examples/onnxruntime/detect.py', path, 'none.png', drawn, fails=True)
    assert 'none.png is no image' in missing


def test_suppression_is_by_class_and_image():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]]).expand(2, -1, -1)
    scores = torch.tensor([[[0.9, 0.8, 0.01], [0.1, 0.5, 0.3]], [[0.3, 0.6, 0.7], [0, 0, 0]]])
    kept = NonMaxSuppression.forward(None, boxes, scores, 1, 0.5, 0.05)
    assert kept.tolist() == [[0, 0, 0], [0, 1, 1], [1, 0, 2]]
    kept = NonMaxSuppression.forward(None, boxes, scores, 5, 0.5, 0.05)
    assert kept.tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 2], [1, 0, 2], [1, 0, 1]]


def test_what_compare_sees(models):
    model, cfg = models('hardnet39ds')
    first, second = predictions(model, cfg, random_images(2))
    assert compare(first, first) == dict(scores=0)
    assert compare(first, second)['scores'] > 0
    model, cfg = models('ssd_hardnet')
    (sample,) = predictions(model, cfg, random_images())
    moved = copy.deepcopy(sample)
    moved.pred_instances.bboxes += 3
    assert compare(moved, sample)['boxes, pixels'] == pytest.approx(3, abs=0.1)
    fewer = copy.deepcopy(sample)
    fewer.pred_instances = fewer.pred_instances[1:]
    assert compare(fewer, sample)['count'] == 1


def test_nothing_is_left_of_a_failure(models, tmp_path):
    def check(path):
        assert path.is_file()
        raise RuntimeError('it differs')

    model, _ = models('hardnet39ds')
    whole = as_whole(to_deploy(model, channels_last=False)).eval()
    with pytest.raises(RuntimeError, match='it differs'):
        export(whole, random_images(), tmp_path / 'model.torchscript', 'torch', check=check)
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_is_missing(tmp_path):
    with pytest.raises(ImportError, match='needs the package no_such_thing: pip install'):
        need('no_such_thing')
    with pytest.raises(ValueError, match='is no exported file'):
        load(tmp_path / 'model.h5')
    with pytest.raises(ValueError, match='HarDNet cannot be exported: allowed are'):
        as_whole(HarDNet('hardnet39ds'))
    detector = build_model(read_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'))
    with pytest.raises(ValueError, match='RetinaNet cannot be exported'):
        as_whole(detector)


def test_the_commands(root, run_tool, digits, models, tmp_path):
    """Export, evaluate the file as the checkpoint, and refuse what is wrong."""
    model, _ = models('ssd_hardnet')
    checkpoint = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    config = root / 'configs/digits/ssd_hardnet_digits.py'
    out = tmp_path / 'out/model.torchscript'
    data = [
        '--cfg-options',
        f'train_dataloader.dataset.data_root={digits}/',
        f'test_dataloader.dataset.data_root={digits}/',
        f'test_evaluator.ann_file={digits}/annotations/val.json',
    ]
    command = ('export.py', config, checkpoint, '--format', 'torch', '--out', out)
    output = run_tool(*command, '--num-images', 2, *data)
    assert 'from PyTorch on 2 images' in output and 'MB' in output
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    metrics = [
        [line for line in output.splitlines() if 'coco/bbox_mAP:' in line][-1]
        .partition('data_time')[0]
        .rpartition('coco/bbox_mAP:')[2]
        for output in (
            run_tool('test.py', config, *path, '--work-dir', tmp_path / 'work', *data)
            for path in ([checkpoint], [out], [checkpoint, '--deploy', 'float32'])
        )
    ]
    assert metrics[0] == metrics[1] == metrics[2]

    refused = run_tool('test.py', config, out, '--deploy', 'float32', *data, fails=True)
    assert '--deploy are for checkpoints' in refused
    assert 'is there already' in run_tool(*command, *data, fails=True)
    wrong = (*command[:-1], tmp_path / 'model.onnx', *data)
    assert 'must end in .torchscript' in run_tool(*wrong, fails=True)
    assert "--int8 is for ['onnx', 'openvino']" in run_tool(
        *command, '--overwrite', '--int8', *data, fails=True
    )
    torch.save(dict(state_dict=dict(a=torch.zeros(1))), tmp_path / 'other.pth')
    other = ('export.py', config, tmp_path / 'other.pth', '--format', 'torch', '--out')
    output = run_tool(*other, tmp_path / 'new/model.torchscript', *data, fails=True)
    assert 'is not one of this config' in output and not (tmp_path / 'new').exists()
