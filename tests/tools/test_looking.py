"""The toolboxes' own scripts that look at data and results, on our configs: docs/looking.md."""

import importlib
import json
from pathlib import Path

import pytest
import torch

OPTIONS = {
    'ssd_hardnet': [
        '{key}_dataloader.dataset.data_root={data}/',
        '{key}_evaluator.ann_file={data}/annotations/val.json',
    ],
    'fchardnet70': ['{key}_dataloader.dataset.data_root={data}'],
}
# mmseg's confusion_matrix knows the classes of data set types alone, and the digits have none.
CITYSCAPES = [
    f'test_dataloader.dataset.{option}'
    for option in (
        'type=CityscapesDataset',
        'metainfo=None',
        'img_suffix=.jpg',
        'seg_map_suffix=.png',
    )
]
MODELS = dict(mmdet='ssd_hardnet', mmseg='fchardnet70')


def script(toolbox, name):
    tools = Path(importlib.import_module(toolbox).__file__).parent / '.mim/tools'
    return str(sorted(tools.rglob(f'{name}.py'))[0])


@pytest.fixture(scope='module')
def look(root, run_tool, digits, tmp_path_factory):
    """Return a function that runs a toolbox's script on its digits config."""

    def run(toolbox, name, *arguments, options=()):
        model = MODELS[toolbox]
        options = [*options] + [
            option.format(key=key, data=digits)
            for key in ('train', 'val', 'test')
            for option in OPTIONS[model]
            if 'evaluator' not in option or key != 'train'
        ]
        config = root / f'configs/digits/{model}_digits.py'
        path = script(toolbox, name) if '/' not in name else str(root / name)
        # mmseg's print_config leaves an example.py where it runs
        folder = tmp_path_factory.mktemp('cwd')
        return run_tool(path, config, *arguments, '--cfg-options', *options, cwd=folder)

    return run


@pytest.fixture(scope='module')
def evaluate(look, models, tmp_path_factory):
    """Return a function that runs tools/test.py on a toolbox's model, on stand-in weights."""
    folder = tmp_path_factory.mktemp('results')

    def run(toolbox, *arguments, options=()):
        model = MODELS[toolbox]
        weights = folder / f'{model}.pth'
        torch.save(dict(state_dict=models(model)[0].state_dict(), meta={}), weights)
        arguments = (weights, '--work-dir', folder / toolbox, *arguments)
        look(toolbox, 'tools/test.py', *arguments, options=options)

    return run


@pytest.fixture(scope='module')
def detections(evaluate, tmp_path_factory):
    """What tools/test.py dumps."""
    path = tmp_path_factory.mktemp('detections') / 'detections.pkl'
    evaluate('mmdet', '--out', path)
    return path


@pytest.mark.parametrize('toolbox', MODELS)
def test_data_is_drawn(look, toolbox, tmp_path):
    if toolbox == 'mmseg' and importlib.import_module(toolbox).__version__ == '1.2.2':
        pytest.skip('it draws into arrays that OpenCV does not take')
    look(toolbox, 'browse_dataset', '--output-dir', tmp_path, '--not-show')
    assert len([path for path in tmp_path.rglob('*') if path.suffix in ('.jpg', '.png')]) == 12


@pytest.mark.slow
@pytest.mark.parametrize('toolbox', MODELS)
def test_a_config_is_printed(look, toolbox):
    assert 'HarDNet' in look(toolbox, 'print_config')


@pytest.mark.slow
@pytest.mark.parametrize('toolbox', MODELS)
def test_macs_are_counted(look, toolbox):
    if toolbox == 'mmseg' and importlib.import_module(toolbox).__version__ == '1.2.2':
        pytest.skip('it gives a shape and inputs, and mmengine takes one of them')
    arguments = ['--num-images', 1] if toolbox == 'mmdet' else ['--shape', 128, 128]
    output = look(toolbox, 'get_flops', *arguments)
    assert 'Flops' in output and 'Params' in output


def test_confused_detections_are_drawn(look, detections, tmp_path):
    look('mmdet', 'confusion_matrix', detections, tmp_path)
    assert list(tmp_path.glob('*.png'))


@pytest.mark.slow
def test_confused_pixels_are_drawn(look, evaluate, tmp_path):
    maps = tmp_path / 'label_maps'
    evaluate('mmseg', options=[*CITYSCAPES, f'test_evaluator.output_dir={maps}'])
    look('mmseg', 'confusion_matrix', maps, tmp_path / 'confusion', options=CITYSCAPES)
    assert list(tmp_path.glob('confusion/*.png'))


@pytest.mark.slow
def test_the_best_and_worst_images_are_drawn(look, detections, tmp_path):
    look('mmdet', 'analyze_results', detections, tmp_path, '--topk', 2)
    assert len(list(tmp_path.rglob('*.jpg'))) == 4


@pytest.mark.parametrize('toolbox', MODELS)
def test_logs_are_drawn(run_tool, toolbox, tmp_path):
    lines = [dict(loss=3.0 - step, lr=1.0, epoch=1, iter=step, step=step) for step in (1, 2)]
    log, out = tmp_path / 'scalars.json', tmp_path / 'loss.png'
    log.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    path, command = script(toolbox, 'analyze_logs'), ['plot_curve'] * (toolbox == 'mmdet')
    style = []
    if 'seaborn' in Path(path).read_text():
        pytest.importorskip('seaborn', reason='the script needs seaborn')
    else:  # its own default is a style of seaborn
        style = ['--style', 'default']
    run_tool(path, *command, log, *style, '--keys', 'loss', '--out', out)
    assert out.is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    'backend, package, file',
    [('Tensorboard', 'tensorboard', 'events.out.tfevents.*'), ('Wandb', 'wandb', 'run-*.wandb')],
)
def test_the_log_goes_to_another_backend(look, monkeypatch, tmp_path, backend, package, file):
    """By one option, as the page says; nothing is sent."""
    pytest.importorskip(package)
    monkeypatch.setenv('WANDB_MODE', 'offline')
    options = (
        f'visualizer.vis_backends.0.type={backend}VisBackend',
        *('train_cfg.max_epochs=1', 'train_dataloader.batch_size=4'),
        'default_hooks.logger.interval=1',
    )
    look('mmdet', 'tools/train.py', '--work-dir', tmp_path, options=options)
    (found,) = (path for path in tmp_path.rglob(file) if not path.is_symlink())
    assert b'loss_bbox' in found.read_bytes()
    assert not list(tmp_path.rglob('scalars.json'))
