"""The configs: that they build, say what their sources say, and are listed as they are."""

import functools
import importlib
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from analysis_tools.list_configs import LIST, differences, facts, parse, render
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from modelindex.load_model_index import load

from hardnet_mm.benchmark.models import published_result
from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.utils.configs import read_config
from hardnet_mm.utils.own_files import own_models

FOLDER = Path(__file__).parents[1] / 'configs'
PATHS = (str(path.relative_to(FOLDER)) for path in sorted(FOLDER.rglob('*.py')))
CONFIGS = [path for path in PATHS if not path.startswith('_base_')]
# Of a config's weights those that come first; some are of no config.
PUBLISHED = {record.config: record for record in reversed(WEIGHTS.values()) if record.metrics}
PUBLISHED.pop(None, None)


@functools.cache
def read(path):
    return read_config(str(FOLDER / path))


@pytest.mark.parametrize('path', CONFIGS)
def test_builds(path):
    """The model, the pipelines and the loops, by the toolbox's registries alone."""
    cfg = read(path)
    scope = cfg.default_scope
    importlib.import_module(f'{scope}.utils').register_all_modules(init_default_scope=False)
    init_default_scope(scope)
    registry = importlib.import_module(f'{scope}.registry')
    with torch.device('meta'):  # without the seconds that random weights take
        model = registry.MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) > 0
    if scope == 'mmdet':
        assert tuple(cfg.model.neck.in_channels) == model.backbone.channels
    if cfg.model.type == 'CenterNet':
        assert cfg.model.bbox_head.in_channels == model.neck.out_channels
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        dataset = loader.dataset
        while 'pipeline' not in dataset:
            dataset = dataset.get('dataset') or dataset.datasets[0]
        for transform in dataset.pipeline:
            registry.TRANSFORMS.build(transform)
    for hook in cfg.get('custom_hooks', []):
        registry.HOOKS.build({key: value for key, value in hook.items() if key != 'priority'})
        if 'ema_type' in hook:  # which mmengine builds when a run begins
            assert registry.MODELS.get(hook.ema_type)


def test_ssd512_voc_reads_both_years(root):
    cfg = Config.fromfile(root / 'configs/ssd512_hardnet68_voc0712.py')
    datasets = cfg.train_dataloader.dataset.dataset.datasets
    assert [d.data_prefix.sub_data_root for d in datasets] == ['VOC2007/', 'VOC2012/']
    assert all(d.pipeline == cfg.train_pipeline for d in datasets)
    assert cfg.test_dataloader.dataset.pipeline == cfg.test_pipeline


def rates(cfg, iterations):
    """The learning rate of every iteration of every epoch, as mmengine's schedulers step."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(scheduler), default_args=dict(optimizer=optimizer))
        for scheduler in cfg.param_scheduler
    ]
    for _ in range(cfg.train_cfg.max_epochs):
        for _ in range(iterations):
            yield optimizer.param_groups[0]['lr']
            optimizer.step()
        for scheduler in schedulers:
            scheduler.step()


def ssd_rate(iteration, epoch_size, steps):
    """The original's (train_test.py); its warm-up asks for an epoch before the first."""
    return 4e-3 * 0.1 ** sum(iteration >= step * epoch_size for step in steps)


def centernet_rate(iteration, epoch_size, steps, rate):
    """The original's (src/main.py): epochs from 1, and a drop after each of the steps."""
    epoch = iteration // epoch_size + 1
    return 5e-5 if epoch == 1 else rate * 0.1 ** sum(epoch > step for step in steps)


def dfus_rate(iteration, epochs):
    """The original's (train.py), of epochs of three."""
    return 1e-4 * (1.001 + math.cos(iteration // 3 * math.pi / epochs))


@pytest.mark.parametrize(
    'config, wanted, epochs',
    [
        ('ssd512_hardnet68_coco', lambda i: ssd_rate(i, 3, (90, 120, 140)), 150),
        ('ssd512_hardnet68_voc0712', lambda i: ssd_rate(i, 3, (150, 200, 250)), 300),
        ('rfb512_hardnet85_coco', lambda i: ssd_rate(i, 3, (90, 120, 140)), 150),
        ('rfb512_hardnet68_voc0712', lambda i: ssd_rate(i, 3, (150, 200, 250)), 300),
        ('centernet_hardnet85_coco', lambda i: centernet_rate(i, 3, (230, 280), 1e-2), 300),
        ('centernet_hardnet68_coco', lambda i: centernet_rate(i, 3, (100, 130), 5e-3), 150),
        ('centernet_hardnet85_voc0712', lambda i: centernet_rate(i, 3, (45, 60), 1e-2), 70),
        ('dfus_hardnetv2-53_kvasir', lambda i: dfus_rate(i, 300), 300),
        ('dfus_hardnetv2-53_pranet', lambda i: dfus_rate(i, 300), 300),
        ('dfus_hardnetv2-53_dfuc2022', lambda i: dfus_rate(i, 150), 150),
    ],
)
def test_learning_rates_are_the_originals(config, wanted, epochs):
    """At every iteration, of epochs of three."""
    found = list(rates(read(f'{config}.py'), 3))
    assert found == pytest.approx([wanted(i) for i in range(3 * epochs)], rel=1e-6)


@pytest.mark.parametrize(
    'config, base',
    [
        ('ssd512_hardnet68_coco', 'hardnet68_base_bridge'),
        ('ssd512_hardnet85_coco', 'hardnet85_base'),
        ('ssd512_hardnet68_voc0712', 'hardnet68_base_bridge'),
        ('rfb512_hardnet68_coco', 'hardnet68_base_bridge'),
        ('rfb512_hardnet85_coco', 'hardnet85_base'),
        ('rfb512_hardnet68_voc0712', 'hardnet68_base_bridge'),
        ('centernet_hardnet85_coco', 'hardnet85_base'),
        ('centernet_hardnet68_coco', 'hardnet68_base'),
    ],
)
def test_detectors_start_from_imagenets_weights(config, base):
    """Of the original's network, unless one option turns it off."""
    path = f'{config}.py'
    assert read(path).load_from == f'hardnet://{base}'
    assert WEIGHTS[base].architecture == read(path).model.backbone.arch
    assert read_config(str(FOLDER / path), dict(load_from=None)).load_from is None


def test_small_models_want_no_network():
    """What learns the digits starts from random weights."""
    names = [path for path in CONFIGS if path.startswith('digits/')]
    assert len(names) == 8 and not any(read(path).get('load_from') for path in names)


def test_average_precision_is_of_100_boxes():
    """Of each overlap and size, as COCO's own program has it; mmdet's default is 1000."""
    for path in CONFIGS:
        if path.endswith('_coco.py') and '/' not in path:
            for evaluator in (read(path).val_evaluator, read(path).test_evaluator):
                assert max(evaluator.proposal_nums) == 100


def test_ssd512_settings_are_the_originals(root):
    cfg = Config.fromfile(root / 'configs/ssd512_hardnet68_coco.py')
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=4e-3, momentum=0.9, weight_decay=5e-4)
    preprocessor = cfg.model.data_preprocessor
    assert (preprocessor.mean, preprocessor.bgr_to_rgb) == ([104, 117, 123], False)
    test_cfg = cfg.model.test_cfg
    assert test_cfg.nms.iou_threshold == 0.45
    assert (test_cfg.max_per_class, test_cfg.max_per_img) == (50, 200)


def test_configs_of_mmseg_are_read_before_hardnet_mm_is_imported():
    """As ``mim train mmsegmentation CONFIG`` does: no base of theirs may depend on the import."""
    script = (
        'import sys\n'
        'from mmengine.config import Config\n'
        'for path in sys.argv[1:]:\n'
        '    Config.fromfile(path, import_custom_modules=False)\n'
        "assert 'hardnet_mm' not in sys.modules\n"
    )
    paths = [str(FOLDER / path) for path in CONFIGS if read(path).default_scope == 'mmseg']
    assert len(paths) > 10
    result = subprocess.run([sys.executable, '-c', script, *paths], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    'copy, source, differing',
    [
        ('schedule_80k', 'schedules/schedule_80k', {'auto_scale_lr'}),
        ('mmseg_runtime', 'default_runtime', {'default_hooks', 'val_cfg', 'test_cfg'}),
        ('ade20k', 'datasets/ade20k', {'dataset'}),
        # whose training images are repeated there
        ('chase_db1', 'datasets/chase_db1', {'dataset', 'train_dataloader'}),
    ],
)
def test_copies_of_mmsegs_bases(tmp_path, copy, source, differing):
    (tmp_path / 'mine.py').write_text(f"_base_ = 'mmseg::_base_/{source}.py'\n")
    theirs = Config.fromfile(tmp_path / 'mine.py').to_dict()
    ours = Config.fromfile(FOLDER / f'_base_/{copy}.py').to_dict()
    theirs.get('optim_wrapper', {}).pop('clip_grad', None)  # None there, as by default
    assert {key for key in ours if ours[key] != without_scopes(theirs.get(key))} == differing


def without_scopes(value):
    """Another package's base, as its own configs read it."""
    if isinstance(value, dict):
        return {key: without_scopes(item) for key, item in value.items() if key != '_scope_'}
    return list(map(without_scopes, value)) if isinstance(value, list) else value


def test_runtime_is_that_of_mmsegs_schedules(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'mmseg::_base_/schedules/schedule_80k.py'\n")
    theirs = without_scopes(Config.fromfile(tmp_path / 'mine.py').to_dict())
    ours = Config.fromfile(FOLDER / '_base_/mmseg_runtime.py').to_dict()
    assert ours['default_hooks'].pop('labels') == dict(type='LabelCheckHook')
    assert all(ours[key] == theirs[key] for key in ('default_hooks', 'val_cfg', 'test_cfg'))


def data_set(record):
    """As mm's metafiles call it: the plain name is that of the validation images."""
    return record.data if record.split == 'val' else f'{record.data} {record.split}'


def test_model_index_is_read_by_mim(root):
    index = load(str(root / 'model-index.yml'))
    index.build_models_with_collections()
    assert {model.name for model in index.models if model.weights} == set(PUBLISHED)
    others = {model.name for model in index.models if not model.weights}
    assert others == {
        *('mseg_hardnet68_kvasir', 'mseg_hardnet68_pranet'),
        *(f'dfus_hardnetv2-53_{data}' for data in ('kvasir', 'pranet', 'dfuc2022')),
    }
    assert all((root / collection.readme).is_file() for collection in index.collections)


@pytest.mark.parametrize('config', PUBLISHED)
def test_metafiles_say_what_was_published(root, config):
    record = PUBLISHED[config]
    (model,) = (model for model in own_models() if model['Name'] == config)
    assert model['Config'] == str(root / f'configs/{config}.py') and Path(model['Config']).is_file()
    assert model['Weights'] == model['Converted From']['Weights'] == record.address
    assert model['Converted From']['Code'] == record.source
    splits = {record.split: record.metrics, **(record.other_splits or {})}
    assert model['Results'] == [
        dict(Task=record.task, Dataset=data_set(replace(record, split=split)), Metrics=metrics)
        for split, metrics in splits.items()
    ]


@pytest.mark.parametrize('config', PUBLISHED)
def test_benchmarks_say_what_was_published(config):
    record = PUBLISHED[config]
    figure, unit, _ = published_result(f'hardnet_mm::{config}.py').partition(',')
    assert figure.split()[0] == str(next(iter(record.metrics.values())))
    assert published_result(f'hardnet_mm::{config}.py').endswith(
        f', {data_set(record)} (hardnet_mm)'
    )


def table_rows(path, config):
    """The cells of each row of a Markdown table that links to a config."""
    lines = path.read_text(encoding='utf-8').splitlines()
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in lines
        if line.startswith('|') and f'{config}.py)' in line
    ]


@pytest.mark.parametrize('config', PUBLISHED)
def test_readme_says_what_was_published(root, config):
    """Each row there that links to the config has the data, the split and the first figure."""
    record = PUBLISHED[config]
    found = table_rows(root / 'README.md', config)
    assert found
    for row in found:
        text = ' | '.join(row)
        assert record.data.removesuffix('-1k') in text
        assert ('test-dev' in text) == (record.split == 'test-dev')
        assert str(next(iter(record.metrics.values()))) in text


@pytest.mark.parametrize('path', CONFIGS)
def test_list_has_data_results_and_weights(path):
    listed = [row[:-2] for group in parse(LIST.read_text()).values() for row in group]
    assert listed.count(facts(FOLDER / path, read(path))[0]) == 1


def test_list_has_no_other_rows():
    groups = parse(LIST.read_text())
    assert render(groups) == LIST.read_text()
    assert sum(map(len, groups.values())) == len(CONFIGS)


@pytest.mark.slow
def test_list_has_parameters_and_macs():
    assert list(differences()) == []


@pytest.mark.parametrize('config', PUBLISHED)
def test_metafiles_have_the_lists_counts(root, config):
    (model,) = (model for model in own_models() if model['Name'] == config)
    ((*_, parameters, gmacs),) = table_rows(root / 'configs/README.md', config)
    assert parameters == f'{model["Metadata"]["Parameters"] / 1e6:.2f} M'
    assert gmacs == f'{model["Metadata"]["FLOPs"] / 1e9:.2f}'
