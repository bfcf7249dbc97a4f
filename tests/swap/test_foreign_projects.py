"""What foreign projects put in the way of a swap, each by a miniature of one.

The projects are tests/foreign_project/contours and shapes; neither knows of HarDNet.
"""

import importlib

import pytest
import torch
from mmengine.config import Config

from hardnet_mm import HarDNet
from hardnet_mm.swap.backbone import plan_swap
from hardnet_mm.swap.failures import explain_failure, explain_untried
from hardnet_mm.swap.places import reach
from hardnet_mm.swap.probe import told_outputs
from hardnet_mm.swap.report import report
from hardnet_mm.swap.trial import failure, is_same_failure, predict
from hardnet_mm.utils.configs import build_model, read_config, read_inherited

LADDER = "dict(type='Ladder', size=64)"
HEAD = "dict(type='ContourHead', in_channels=[8, 16])"
PREPROCESSOR = "data_preprocessor = dict(type='ImgDataPreprocessor', mean=[0.0] * 3, std=[1.0] * 3)"


@pytest.fixture
def project(root, monkeypatch):
    folder = root / 'tests/foreign_project'
    texts = [path.read_text() for path in (folder / 'contours').glob('*.py')]
    assert not any('hardnet' in text.lower() for text in texts)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def contours(project):
    """The project, its classes registered as its own train script does."""
    for name in ('backbones', 'models'):
        importlib.import_module(f'contours.{name}')
    return project


@pytest.fixture
def write(tmp_path):
    def write(model, more="default_scope = 'contours'\n", name='model.py'):
        path = tmp_path / name
        path.write_text(f'{more}{PREPROCESSOR}\nmodel = {model}\ncrop_size = (64, 64)\n')
        return str(path)

    return write


def swapped(path, /, **options):
    cfg = read_config(path)
    cfg.train_pipeline = [dict(type='RandomCrop', crop_size=(64, 64))]
    return cfg, plan_swap(cfg, 'hardnet39ds', pretrained=False, **options)


def try_out(path, swap):
    """Build the model, train a step and predict; return the model."""
    model = build_model(read_inherited(path, swap.differences))
    images = torch.rand(2, 3, 64, 64)
    model.train()
    model(images, mode='loss')['loss'].backward()
    backbone = next(module for module in model.modules() if isinstance(module, HarDNet))
    assert backbone.stem[0].conv.weight.grad.any()
    assert predict(model, read_config(path)).shape[:2] == (2, 1)
    return model


def test_a_backbone_of_another_name(contours, write):
    """And a scope whose package has no register_all_modules, and images of one size."""
    path = write(f"dict(type='ContourFinder', encoder={LADDER}, head={HEAD})")
    _, swap = swapped(path)
    assert swap.keys == ('encoder',)
    assert str(swap.old.size).startswith('64 x 64 (train pipeline')
    assert swap.differences['model']['head'] == dict(in_channels=[96, 320])
    try_out(path, swap)


def test_a_student_and_a_teacher(contours, write):
    """And a method ``train`` that returns nothing."""
    one = f"dict(type='ContourFinder', backbone={LADDER}, head={HEAD})"
    path = write(f"dict(type='TaughtFinder', student={one}, teacher={one})")
    with pytest.raises(ValueError, match='--backbone student.backbone or teacher.backbone'):
        swapped(path)
    cfg, swap = swapped(path, path='student.backbone')
    assert set(swap.differences['model']) == {'student'}
    assert '  model.teacher.backbone: another backbone, which stays as it is' in report(cfg, swap)
    new = read_inherited(path, swap.differences)
    new.model.teacher.backbone.size = 64
    model = try_out(path, swap)
    assert type(model.teacher.backbone).__name__ == 'Ladder'


def test_a_teachers_checkpoint_is_not_read_and_stays_in_the_config(contours, write):
    """The command builds the model without the file, which only the project's training needs."""
    one = f"dict(type='ContourFinder', backbone={LADDER}, head={HEAD})"
    path = write(
        f"dict(type='TaughtFinder', student={one}, teacher={one}, teacher_ckpt='teacher.pth')"
    )
    with pytest.raises(FileNotFoundError, match=r'teacher.pth'):
        importlib.import_module('contours.registry').MODELS.build(
            dict(read_config(path).model, _scope_='contours')
        )
    _, swap = swapped(path, path='student.backbone')
    try_out(path, swap)
    assert read_inherited(path, swap.differences).model.teacher_ckpt == 'teacher.pth'


def test_a_backbone_that_cannot_be_built_here(contours, write):
    backbone = "dict(type='CompiledLadder', size=64)"
    path = write(f"dict(type='ContourFinder', backbone={backbone}, head={HEAD})")
    with pytest.raises(ImportError, match='ladder_ops is not installed'):
        swapped(path)
    cfg, swap = swapped(path, outputs=told_outputs(['8:4', '16:8']))
    assert 'given by --outputs' in report(cfg, swap)[1]
    try_out(path, swap)
    for words in (['8'], ['8:x'], ['16:8', '8:4']):
        with pytest.raises(ValueError, match='CHANNELS:STRIDE|shallow to deep'):
            told_outputs(words)


def test_a_head_that_reads_the_backbones_width(contours, write):
    """The cure is a class of the project's own that has what the head reads."""
    path = write(f"dict(type='ContourFinder', backbone={LADDER}, head=dict(type='ContourHead'))")
    cfg, swap = swapped(path)
    assert any('nothing in ContourFinder reads 8, 16 channels' in x for x in report(cfg, swap))
    new = read_inherited(path, swap.differences)
    with pytest.raises(AttributeError, match='feat_channels') as raised:
        build_model(new)
    assert "AttributeError: 'HarDNet' object has no attribute 'feat_channels'" in explain_failure(
        swap, new, raised.value
    )

    registry = importlib.import_module('contours.registry').MODELS

    @registry.register_module(force=True)
    class HarDNetWithWidths(HarDNet):
        @property
        def feat_channels(self):
            return self.channels

    swap.differences['model']['backbone']['type'] = 'HarDNetWithWidths'
    try_out(path, swap)


def test_a_width_that_is_no_in_channels(project):
    """ShapeClassifier calls it channels: the failure names it, and what it must be."""
    cfg = read_config(str(project / 'plain.py'))
    swap = plan_swap(cfg, 'hardnet39ds')
    new = read_inherited(str(project / 'plain.py'), swap.differences)
    words = explain_failure(swap, new, RuntimeError('mat1 and mat2'))
    assert 'RuntimeError: mat1 and mat2. The old backbone has 16 channels' in words
    assert 'one of these may still mean the old ones: model.channels = 16' in words
    assert any(
        'model.channels = 16: the channels of an output of the old backbone' in line
        for line in report(cfg, swap)
    )


def test_a_model_that_takes_more_than_images(project):
    """ShapeClassifier takes labels, too: the old model fails as the new one does."""
    cfg = read_config(str(project / 'plain.py'))
    swap = plan_swap(cfg, 'hardnet39ds')
    new = read_inherited(str(project / 'plain.py'), swap.differences)
    error, old = (failure(each, each.model.backbone) for each in (new, cfg))
    assert "missing 1 required positional argument: 'label'" in str(error)
    assert is_same_failure(error, old)
    lines = report(cfg, swap, explain_untried(swap, new, error))
    line = next(line for line in lines if 'was built, but not run' in line)
    assert lines.index(line) > lines.index('not decided:')
    assert 'TypeError: ShapeClassifier.forward() missing 1 required positional argument' in line
    assert 'may still mean the old ones: model.channels = 16. Check that the first' in line


def test_failures_of_two_kinds(contours, write):
    """The new one's neck wants old widths; the old model runs, or fails elsewhere."""
    path = write(f"dict(type='ContourFinder', backbone={LADDER}, head={HEAD})")
    cfg, swap = swapped(path)
    assert failure(cfg, cfg.model.backbone) is None
    new = read_inherited(path, dict(swap.differences, model=dict(swap.differences['model'])))
    new.model.head.in_channels = [8, 16]
    error = failure(new, new.model.backbone)
    other = RuntimeError(str(error))  # alike, but of no line of the model
    try:
        raise other
    except RuntimeError:
        assert not is_same_failure(error, other)
    assert 'The old model' not in explain_failure(swap, new, error)
    words = explain_failure(swap, new, error, ImportError('ladder_ops'))
    assert 'The old model fails, too' in words and 'ImportError: ladder_ops. With' in words


@pytest.mark.slow
def test_the_command_says_what_it_could_not_run(project, run_tool, write, tmp_path):
    out = tmp_path / 'out.py'
    output = run_tool('swap_backbone.py', 'plain.py', '--out', out, cwd=project)
    assert 'not decided:\n' in output and 'was built, but not run' in output
    assert f'M parameters, built, not run, written to {out}' in output
    cfg = Config.fromfile(out, import_custom_modules=False)
    assert cfg.model.backbone.type == 'HarDNet' and cfg.model.channels == 16


@pytest.mark.slow
def test_without_a_trial_the_config_is_written_nevertheless(project, run_tool, write, tmp_path):
    """ContourHead reads a width that HarDNet does not have."""
    path = write(f"dict(type='ContourFinder', backbone={LADDER}, head=dict(type='ContourHead'))")
    out = tmp_path / 'out.py'
    command = ('swap_backbone.py', path, '--imports', 'contours.models', 'contours.backbones')
    command += ('--outputs', '8:4', '16:8', '--arch', 'hardnet39ds', '--out', out)
    output = run_tool(*command, fails=True, cwd=project)
    assert 'With --no-trial the config is written' in output and not out.exists()
    output = run_tool(*command, '--no-trial', cwd=project)
    assert f'not tried, written to {out}' in output
    assert Config.fromfile(out, import_custom_modules=False).model.backbone.type == 'HarDNet'


def test_a_model_of_another_scope(contours, write):
    """As mmdet3d's configs of mmdet's detectors, whose ``_scope_`` the backbone inherits."""
    importlib.import_module('shapes.registry')
    path = write(
        f"dict(type='ContourFinder', _scope_='contours', backbone={LADDER}, head={HEAD})",
        "default_scope = 'shapes'\n",
    )
    _, swap = swapped(path)
    assert swap.old.channels == (8, 16)
    try_out(path, swap)


def test_a_config_without_a_scope(project, write):
    """The toolbox is the one that has the model's class, or else the class of a part of it."""
    resnet = "dict(type='ResNet', depth=50)"
    for kind in ('FasterRCNN', 'SomebodysOwn'):
        path = write(f'dict(type={kind!r}, backbone={resnet}, rpn_head=dict(type="RPNHead"))', '')
        assert read_config(path).default_scope == 'mmdet'
    with pytest.raises(ValueError, match='default_scope must be .* got None'):
        read_config(write("dict(type='SomebodysOwn')", ''))


@pytest.mark.parametrize('scope', [pytest.param('contours', marks=pytest.mark.slow), 'nobodys'])
def test_classes_that_only_the_train_script_imports(project, write, run_tool, scope, tmp_path):
    path = write(
        f"dict(type='ContourFinder', backbone={LADDER}, head={HEAD})",
        f'default_scope = {scope!r}\n',
    )
    out = tmp_path / 'out.py'
    command = (
        'swap_backbone.py',
        path,
        '--outputs',
        '8:4',
        '16:8',
        '--no-pretrained',
        '--arch',
        'hardnet39ds',
        '--out',
        out,
    )
    if scope == 'nobodys':
        output = run_tool(*command, fails=True, cwd=project)
        assert 'must be the toolbox that the config is for' in output
        assert 'name the modules that make the registries in custom_imports' in output
        return
    output = run_tool(*command, fails=True, cwd=project)
    assert 'neither the old model nor the new one can be built here: KeyError' in output
    assert 'ContourFinder is not in the contours::model registry' in output
    assert 'name the modules by --imports' in output
    imports = ('--imports', 'contours.models', 'contours.backbones')
    run_tool(*command, *imports, cwd=project)
    assert Config.fromfile(out).model.head.in_channels == [96, 320]


def test_a_config_in_pure_python(contours, tmp_path, run_tool):
    (tmp_path / 'base.py').write_text(
        'from contours.backbones import Ladder\n'
        'from contours.models import ContourFinder, ContourHead\n'
        'model = dict(type=ContourFinder, backbone=dict(type=Ladder, size=256), '
        'head=dict(type=ContourHead, in_channels=[8, 16]))\n'
    )
    path = tmp_path / 'pure.py'
    path.write_text(
        'from mmengine.config import read_base\nwith read_base():\n    from .base import *\n'
    )
    out = tmp_path / 'whole.py'
    output = run_tool('swap_backbone.py', path, '--arch', 'hardnet39ds', '--out', out, cwd=contours)
    assert 'built and run once' in output
    cfg = Config.fromfile(out, import_custom_modules=False)
    assert cfg.model.type.endswith('models.ContourFinder')
    assert cfg.model.backbone.type == 'HarDNet' and cfg.model.head.in_channels == [96, 320]
    assert cfg.default_scope == 'contours'


@pytest.mark.parametrize('keys', [('data', 'optimizer'), ('lr_config', 'runner', 'evaluation')])
def test_a_config_of_before_mmengine(keys, tmp_path):
    path = tmp_path / 'old.py'
    path.write_text('model = dict(type="FasterRCNN")\n' + ''.join(f'{k} = dict()\n' for k in keys))
    with pytest.raises(ValueError, match='of the toolboxes before mmengine') as raised:
        read_config(str(path))
    assert all(f'{key} is now ' in str(raised.value) for key in keys)
    path.write_text(path.read_text() + 'default_scope = "mmdet"\ntrain_dataloader = dict()\n')
    assert read_config(str(path)).default_scope == 'mmdet'


def test_a_backbone_that_a_wrapper_holds(contours, write):
    inner = f"dict(type='ContourFinder', backbone={LADDER}, head={HEAD})"
    path = write(f"dict(type='Wrapper', detector={inner})")
    _, swap = swapped(path)
    assert swap.keys == ('detector', 'backbone')
    assert reach(swap.differences['model'], swap.keys)['type'] == 'HarDNet'
    assert swap.differences['model']['detector']['head'] == dict(in_channels=[96, 320])
