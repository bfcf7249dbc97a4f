"""The toolboxes' own scripts in an environment that got mmcv's operators by one command.

None of them imports hardnet_mm before a config does: ``python -m hardnet_mm.compat install``.
"""

import importlib
import importlib.util
import json
import os
import re
from pathlib import Path

import pytest
import torch
from helpers.virtual_environment import ROOT, Environment
from PIL import Image

pytestmark = pytest.mark.slow
TOOLBOXES = ('mmdet', 'mmseg', 'mmpretrain')
RUNNER = ROOT / 'tests/helpers/run_scripts.py'
# Packages in no requirements of ours, and the scripts that need them, some on one stack alone.
NEEDS = {
    'cityscapesscripts': 'mmdet/dataset_converters/cityscapes mmseg/dataset_converters/cityscapes',
    'detail': 'mmseg/dataset_converters/pascal_context',
    'emoji': 'mmdet/dataset_converters/grit2odvg',
    'huggingface_hub': 'mmpretrain/model_converters/llava-delta2mmpre',
    'jsonlines': 'mmdet/dataset_converters/coco2odvg mmdet/dataset_converters/goldg2odvg '
    'mmdet/dataset_converters/lvis2odvg mmdet/dataset_converters/lvis2ovd mmdet/misc/split_odvg '
    'mmdet/dataset_converters/openimages2odvg mmdet/dataset_converters/refcoco2odvg',
    'nibabel': 'mmseg/dataset_converters/synapse',
    'panopticapi': 'mmdet/dataset_converters/ade20k2coco '
    'mmdet/dataset_converters/prepare_coco_semantic_annos_from_panoptic_annos',
    'psutil': 'mmdet/analysis_tools/benchmark',
    'pytorch_grad_cam': 'mmseg/analysis_tools/visualization_cam mmpretrain/visualization/vis_cam',
    'motmetrics': 'mmdet/analysis_tools/mot/mot_error_visualize',
    'seaborn': 'mmdet/analysis_tools/analyze_logs mmseg/analysis_tools/analyze_logs',
    'tensorflow': 'mmpretrain/model_converters/efficientnet_to_mmpretrain',
    'ts': 'mmdet/deployment/mmdet_handler mmseg/torchserve/mmseg_handler '
    'mmpretrain/torchserve/mmpretrain_handler',
    'model_archiver': 'mmpretrain/torchserve/mmpretrain2torchserve',
}
PACKAGES = {script: package for package, scripts in NEEDS.items() for script in scripts.split()}
# What a script says of a package that is not there, if not its name.
SAYS = {
    'psutil': "'NoneType' object has no attribute 'Process'",
    'pytorch_grad_cam': 'pytorch_grad_cam',
    'model_archiver': 'install torchserve torch-model-archiver',
}
# Faults of the toolboxes, and files that are no programs.
FAULTS = {
    'mmdet/analysis_tools/test_robustness': r"No module named 'tools[.']",  # runs in its sources
    'mmpretrain/analysis_tools/utils': '^$',  # others import it
    'mmpretrain/dataset_converters/convert_flickr30k_ann': 'dataset_flickr30k.json',  # no options
    'mmpretrain/model_converters/twins2mmpretrain': "No module named 'mmcv.runner'",  # of mmcv 1
}


def folder_of(toolbox):
    return Path(importlib.util.find_spec(toolbox).origin).parent / '.mim/tools'


def name_of(toolbox, path):
    return f'{toolbox}/{path.relative_to(folder_of(toolbox)).with_suffix("")}'


SCRIPTS = {
    name_of(toolbox, path): path
    for toolbox in TOOLBOXES
    if importlib.util.find_spec(toolbox)
    for path in sorted(folder_of(toolbox).rglob('*.py'))
}


@pytest.fixture(scope='module')
def run_scripts(tmp_path_factory):
    """Return a function that runs ``(script, arguments)`` of the toolboxes, one after the other."""
    environment = Environment(tmp_path_factory.mktemp('environment'))
    installed = environment.run('-m', 'hardnet_mm.compat', 'install')
    assert 'from now on' in installed.stdout or 'has its own' in installed.stdout, installed

    def run(jobs):
        jobs = [[str(script), list(map(str, arguments))] for script, arguments in jobs]
        variables = dict(os.environ, OMP_NUM_THREADS='1')
        variables.pop('PYTHONPATH', None)
        result = environment.run(RUNNER, input=json.dumps(jobs), env=variables)
        assert result.returncode == 0, result.stderr[-5000:]
        return json.loads(result.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope='module')
def helped(run_scripts):
    """The exit status and the output of each script's --help."""
    return dict(zip(SCRIPTS, run_scripts([(path, ['--help']) for path in SCRIPTS.values()])))


@pytest.mark.parametrize('name', SCRIPTS)
def test_a_script_shows_its_help(helped, name):
    status, output = helped[name]
    package = PACKAGES.get(name)
    if name in FAULTS:
        assert re.search(FAULTS[name], output), output[-3000:]
    elif status == 0:
        assert 'usage:' in output
    else:
        assert package and not importlib.util.find_spec(package), output[-3000:]
        assert SAYS.get(package, f"No module named '{package}") in output


def script(toolbox, name):
    """Return the path of a script; of two of a name, the first in the alphabet."""
    return sorted(folder_of(toolbox).rglob(f'{name}.py'))[0]


@pytest.fixture(scope='module')
def crops(tmp_path_factory):
    """Pictures of ten classes, as the digits' crops."""
    folder = tmp_path_factory.mktemp('crops')
    for part in ('train', 'val'):
        for label in range(10):
            (folder / part / str(label)).mkdir(parents=True)
            for shade in (40, 200):
                Image.new('RGB', (32, 32), (label * 25, shade, 0)).save(
                    folder / part / str(label) / f'{shade}.png'
                )
    return folder


def settings(toolbox, data):
    """Return the options that let a digits' config train on few small pictures."""
    names = [f'{part}_dataloader' for part in ('train', 'val', 'test')]
    options = [f'{name}.dataset.data_root={data}/' for name in names]
    options += [f'{name}.batch_size=4' for name in names] if toolbox == 'mmpretrain' else []
    if toolbox == 'mmdet':
        ann_file = f'{data}/annotations/val.json'
        options += [f'{part}_evaluator.ann_file={ann_file}' for part in ('val', 'test')]
    return ['--cfg-options', *options, 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1']


def mmdet_jobs(config, options, out, data):
    """Return jobs by name: script, arguments, and what it must leave or print."""
    detections, weights = out / 'detections.pkl', out / 'train/epoch_1.pth'
    classes = out / 'classes.txt'
    classes.write_text('\n'.join('0123456789'))
    images = data / 'val'
    return [
        ('train', [config, '--work-dir', out / 'train', *options], 'bbox_mAP'),
        (
            'test',
            [config, weights, '--work-dir', out / 'test', '--out', detections, *options],
            'bbox_mAP',
        ),
        (
            'browse_dataset',
            [config, '--output-dir', out / 'browsed', '--not-show', *options],
            out / 'browsed',
        ),
        ('print_config', [config, *options], 'HarDNet'),
        ('get_flops', [config, '--num-images', 1, *options], 'Flops'),
        ('eval_metric', [config, detections, *options], 'bbox_mAP'),
        ('confusion_matrix', [config, detections, out / 'confusion', *options], out / 'confusion'),
        (
            'analyze_results',
            [config, detections, out / 'best', '--topk', 1, *options],
            out / 'best',
        ),
        ('publish_model', [out / 'weights.pth', out / 'published.pth'], 'published[-_]*.pth'),
        ('images2coco', [images, classes, 'converted.json'], data / 'annotations/converted.json'),
    ]


def mmseg_jobs(config, options, out, data):
    weights = out / 'train/epoch_1.pth'
    flops = ('get_flops', [config, '--shape', 64, 64, *options], 'Flops')
    # mmseg 1.2.2's gives a shape and inputs, and mmengine takes one of them
    works = importlib.import_module('mmseg').__version__ != '1.2.2'
    return [
        ('train', [config, '--work-dir', out / 'train', *options], 'mIoU'),
        ('test', [config, weights, '--work-dir', out / 'test', *options], 'mIoU'),
        ('print_config', [config, *options], 'HarDNet'),
        *([flops] if works else []),
        ('publish_model', [out / 'weights.pth', out / 'published.pth'], 'published[-_]*.pth'),
    ]


def mmpretrain_jobs(config, options, out, data):
    results, weights = out / 'results.pkl', out / 'train/epoch_1.pth'
    wanted = ['--out', results, '--out-item', 'pred']
    return [
        ('train', [config, '--work-dir', out / 'train', *options], 'accuracy'),
        ('test', [config, weights, '--work-dir', out / 'test', *wanted, *options], 'accuracy'),
        ('print_config', [config, *options], 'HarDNet'),
        ('get_flops', [config, '--shape', 64, 64], 'Flops'),
        ('eval_metric', [results, '--metric', 'type=Accuracy', 'topk=1'], 'accuracy'),
        (
            'confusion_matrix',
            [config, results, '--show-path', out / 'confusion.png', *options],
            out / 'confusion.png',
        ),
        (
            'analyze_results',
            [config, results, '--out-dir', out / 'best', '--topk', 1, *options],
            out / 'best',
        ),
        ('publish_model', [out / 'weights.pth', out / 'published.pth'], 'published[-_]*.pth'),
    ]


JOBS = dict(
    mmdet=('ssd_hardnet', mmdet_jobs),
    mmseg=('fchardnet70', mmseg_jobs),
    mmpretrain=('hardnet39ds', mmpretrain_jobs),
)


@pytest.mark.parametrize('toolbox', JOBS)
def test_scripts_do_a_real_job(run_scripts, models, digits, crops, toolbox, tmp_path):
    model, make = JOBS[toolbox]
    # publish_model reads a run's own checkpoint only where PyTorch is older than 2.6
    torch.save(dict(state_dict=models(model)[0].state_dict()), tmp_path / 'weights.pth')
    data = crops if toolbox == 'mmpretrain' else digits
    config = ROOT / f'configs/digits/{model}_digits.py'
    jobs = make(config, settings(toolbox, data), tmp_path, data)
    results = run_scripts([(script(toolbox, name), arguments) for name, arguments, _ in jobs])
    for (name, _, wanted), (status, output) in zip(jobs, results):
        assert status == 0, f'{name}: {output[-3000:]}'
        if isinstance(wanted, Path):
            there = wanted.is_file() or any(path.is_file() for path in wanted.rglob('*'))
        else:
            there = wanted in output or any(tmp_path.glob(wanted))
        assert there, f'{name}: no {wanted} in {output[-3000:]}'
