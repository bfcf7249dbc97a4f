"""tools/export.py and tools/test.py on exported files, as they are called."""

import argparse
import copy
import runpy
import subprocess
import sys

import pytest
import torch
from helpers.exported import deployed, items, random_images
from mmengine.config import Config

from hardnet_mm.export.formats import FORMATS
from hardnet_mm.export.writing import export
from hardnet_mm.utils.datasets import class_names, leaf_datasets, with_pipeline
from hardnet_mm.utils.errors import InputError

CONFIG = 'configs/digits/ssd_hardnet_digits.py'


@pytest.fixture(scope='module')
def checkpoint(models, tmp_path_factory):
    model, _ = models('ssd_hardnet')
    path = tmp_path_factory.mktemp('checkpoint') / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


@pytest.fixture(scope='module')
def data(digits):
    return [
        '--cfg-options',
        f'train_dataloader.dataset.data_root={digits}/',
        f'test_dataloader.dataset.data_root={digits}/',
        f'test_evaluator.ann_file={digits}/annotations/val.json',
    ]


@pytest.fixture(scope='module')
def wrapped_config(root, digits, tmp_path_factory):
    """The same, its data sets within wrappers within wrappers."""
    path = tmp_path_factory.mktemp('config') / 'wrapped.py'
    path.write_text(
        f"""
_base_ = {str(root / CONFIG)!r}
train_part = _base_.train_dataloader.dataset
train_part.data_root = '{digits}/'
test_part = _base_.test_dataloader.dataset
test_part.data_root = '{digits}/'
inner = dict(type='RepeatDataset', times=2, dataset=train_part)
mixed = dict(
    type='MultiImageMixDataset',
    dataset=dict(
        train_part,
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)],
    ),
    pipeline=[dict(type='Resize', scale=(64, 64)), dict(type='PackDetInputs')],
)
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[inner, mixed])
)
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RepeatDataset',
        times=1,
        dataset=dict(type='ConcatDataset', datasets=[test_part]),
    )
)
test_evaluator = dict(ann_file='{digits}/annotations/val.json')
"""
    )
    return path


def metric(output):
    lines = [line for line in output.splitlines() if 'coco/bbox_mAP:' in line]
    return lines[-1].partition('data_time')[0].rpartition('coco/bbox_mAP:')[2]


def test_the_commands(root, run_tool, data, checkpoint, tmp_path):
    """Export, and evaluate the file as the checkpoint."""
    out = tmp_path / 'out/model.torchscript'
    command = ('export.py', root / CONFIG, checkpoint, '--format', 'torch', '--out', out)
    output = run_tool(*command, '--num-images', 2, *data)
    assert 'detections: 0 from PyTorch on 2 images' in output and 'MB' in output
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    extra = dict(classes='')
    torch.jit.load(str(out), _extra_files=extra)
    assert eval(extra['classes']) == [*'0123456789']
    metrics = [
        metric(run_tool('test.py', root / CONFIG, *path, '--work-dir', tmp_path / 'work', *data))
        for path in ([checkpoint], [out], [checkpoint, '--deploy', 'float32'])
    ]
    assert metrics[0] == metrics[1] == metrics[2]
    refused = run_tool('test.py', root / CONFIG, out, '--deploy', 'float32', *data, fails=True)
    assert '--deploy are for checkpoints' in refused


@pytest.mark.slow
def test_wrapped_data_sets(run_tool, wrapped_config, checkpoint, digits, tmp_path):
    """Compared on, calibrated on, and tested with augmentation."""
    for package in FORMATS['onnx'].packages:
        pytest.importorskip(package)
    out = tmp_path / 'model.onnx'
    command = ('export.py', wrapped_config, checkpoint, '--format', 'onnx', '--out', out)
    output = run_tool(*command, '--int8', '--num-images', 2, '--calibration-images', 20)
    assert 'from PyTorch on 2 images, no limit in int8' in output
    image = next((digits / 'val').iterdir())
    output = run_tool(*command, '--overwrite', '--images', image)
    assert 'detections: 0 from PyTorch on 1 images' in output
    output = run_tool('test.py', wrapped_config, checkpoint, '--tta', '--work-dir', tmp_path / 'w')
    assert 'coco/bbox_mAP' in output


def test_pipelines_within_wrappers(wrapped_config):
    cfg = Config.fromfile(wrapped_config)
    settings = cfg.train_dataloader.dataset
    before = copy.deepcopy(settings)
    assert len(list(leaf_datasets(settings))) == 2
    assert next(leaf_datasets(cfg.test_dataloader.dataset)).ann_file == 'annotations/val.json'
    pipeline = [dict(type='LoadImageFromFile')]
    changed = with_pipeline(settings, pipeline)
    assert [leaf.pipeline for leaf in leaf_datasets(changed)] == [pipeline] * 2
    # the one that mixes images has a pipeline of its own
    assert [part.type for part in changed.datasets] == ['RepeatDataset', 'CocoDataset']
    assert settings == before


def test_names_of_classes(root):
    cfg = Config.fromfile(root / CONFIG)
    assert class_names(cfg, dict(dataset_meta=dict(classes=('a', 'b')))) == ['a', 'b']
    assert class_names(cfg, {}) == [*'0123456789']
    del cfg.test_dataloader.dataset.metainfo
    assert class_names(cfg, {})[:2] == ['person', 'bicycle']  # CocoDataset's own
    cfg = Config.fromfile(root / 'configs/digits/hardnet39ds_digits.py')
    assert class_names(cfg, {}) == [*'0123456789']
    cfg.test_dataloader = None
    with pytest.raises(InputError, match='hardnet39ds_digits.py has no test_dataloader'):
        class_names(cfg, {})


def refused(run_tool, *arguments):
    output = run_tool('export.py', *arguments, fails=True)
    assert 'Traceback' not in output
    (line,) = [line for line in output.splitlines() if 'error: ' in line]
    return line


def test_what_is_wrong_is_told_in_one_line(root, run_tool, data, checkpoint, tmp_path):
    """What needs neither config nor model is told without importing torch."""
    out = tmp_path / 'new/model.torchscript'
    start = (root / CONFIG, checkpoint, '--format')
    assert 'must end in .torchscript' in refused(
        run_tool, *start, 'torch', '--out', tmp_path / 'model.onnx'
    )
    assert "--int8 is for ['onnx', 'openvino']" in refused(
        run_tool, *start, 'torch', '--out', out, '--int8'
    )
    assert 'at least 1' in refused(run_tool, *start, 'torch', '--out', out, '--num-images', 0)
    (tmp_path / 'model.bin').touch()
    if not FORMATS['openvino'].missing_packages():
        line = refused(run_tool, *start, 'openvino', '--out', tmp_path / 'model.xml')
        assert 'model.bin is there already' in line and '--overwrite' in line
    line = refused(run_tool, root / CONFIG, 'none.pth', '--format', 'torch', '--out', out)
    assert 'there is no checkpoint none.pth' in line
    line = refused(run_tool, *start, 'torch', '--out', out, '--images', 'none.png')
    assert 'there is no image none.png' in line
    line = refused(
        run_tool,
        *start,
        'torch',
        '--out',
        out,
        '--cfg-options',
        'test_dataloader.dataset.data_root=a',
    )
    assert 'No such file or directory: a (test_dataloader.dataset.data_root)' in line
    torch.save(dict(state_dict=dict(a=torch.zeros(1))), tmp_path / 'other.pth')
    line = refused(
        run_tool, root / CONFIG, tmp_path / 'other.pth', *start[2:], 'torch', '--out', out, *data
    )
    assert 'is not one of this config' in line
    assert not out.parent.exists()


def test_help_is_there_before_torch(root):
    """Neither help nor an error in the arguments waits for the toolboxes' imports."""
    code = (
        'import runpy, sys\n'
        f'sys.path.insert(0, {str(root / "tools")!r})\n'
        'try:\n'
        f"    runpy.run_path({str(root / 'tools/export.py')!r}, run_name='__main__')\n"
        'except SystemExit:\n'
        "    sys.exit('torch' in sys.modules)\n"
    )
    missing = ['a.py', 'b.pth', '--format', 'torch', '--out', 'c.torchscript']
    for arguments in (['--help'], missing):
        result = subprocess.run(
            [sys.executable, '-c', code, *arguments], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
    assert 'there is no config a.py' in result.stderr


@pytest.mark.slow
def test_a_file_that_differs(root, models, tmp_path, capsys):
    """It says which image and which detection, and is kept on demand alone."""
    model, cfg = models('ssd_hardnet')
    tool = runpy.run_path(str(root / 'tools/export.py'))
    exporter = object.__new__(tool['Exporter'])
    exporter.model, exporter.end_to_end = model, deployed(model, 'decode')
    exporter.items = items(cfg, random_images(2))
    exporter.args = argparse.Namespace(format='torch', int8=False, allow_difference=False)
    path = tmp_path / 'model.torchscript'
    export(exporter.end_to_end, random_images(), path, 'torch', check=exporter.check)
    assert 'detections: 0 from PyTorch on 2 images' in capsys.readouterr().out

    other = copy.deepcopy(model)
    for conv in other.bbox_head.reg_convs:
        conv[0].bias.data += 0.5
    settings = dict(check=exporter.check, overwrite=True)
    before = path.read_bytes()
    with pytest.raises(InputError, match='differs from PyTorch, .* on image 0, allowed') as error:
        export(deployed(other, 'decode'), random_images(), path, 'torch', **settings)
    assert '--allow-difference' in str(error.value) and path.read_bytes() == before
    output = capsys.readouterr().out
    assert 'image 0: the file detects class' in output and 'pixels and' in output
    exporter.args.allow_difference = True
    export(deployed(other, 'decode'), random_images(), path, 'torch', **settings)
    assert path.read_bytes() != before
