"""What the pages say: links, files, and the tables that repeat what the code knows."""

import inspect
import re

import pytest
from helpers.documents import PAGES, ROOT, anchors, blocks, name, prose, table

import hardnet_mm.cls
import hardnet_mm.det
import hardnet_mm.seg  # noqa: F401, all three register their types
from hardnet_mm import registry
from hardnet_mm.checkpoints.published import SCHEME, WEIGHTS
from hardnet_mm.export.formats import FORMATS
from hardnet_mm.utils.own_files import own_models

LINK = re.compile(r'\]\(([^)\s]+)\)')
FILE = re.compile(r'`((?:configs|docs|examples|hardnet_mm|requirements|tests|tools)/[\w./-]+)`')
METRICS = {'box AP': '{} box AP', 'mIoU': '{} mIoU'}
METRICS |= {'Top 1 Accuracy': '{} % top-1', 'Top 5 Accuracy': '{} % top-5'}
TASKS = {'detection': 'Object Detection', 'segmentation': 'Semantic Segmentation'}
TASKS['classification'] = 'Image Classification'
# of a config's weights those that come first
SHOWN = {record.config: key for key, record in reversed(WEIGHTS.items()) if record.metrics}
SHOWN.pop(None, None)  # of no model here
README, CHANGELOG, DOCS = ROOT / 'README.md', ROOT / 'CHANGELOG.md', ROOT / 'docs'


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_lead_somewhere(page):
    """In the repository, by path and by heading; within docs/ the site could follow no other."""
    for link in LINK.findall(prose(page)):
        if re.match(r'(https?|mailto):', link):
            continue
        path, _, anchor = link.partition('#')
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f'{name(page)}: {link}'
        assert not anchor or anchor in anchors(target), f'{name(page)}: {link}'
        assert DOCS not in page.parents or DOCS in target.parents, f'{name(page)}: {link}'


@pytest.mark.parametrize('page', [*PAGES, ROOT / 'CONTRIBUTING.md'], ids=name)
def test_files_are_there(page):
    for path in FILE.findall(prose(page)):
        assert (ROOT / path).exists(), f'{name(page)}: {path}'


def test_the_version_is_the_changelogs():
    """As docs/release.md has it: a version without its day in the changelog is a .dev0."""
    version, state = re.search(r'^## (\S+) \((.+)\)$', CHANGELOG.read_text(), re.MULTILINE).groups()
    assert re.fullmatch(r'unreleased|\d{4}-\d\d-\d\d', state)
    suffix = '.dev0' if state == 'unreleased' else ''
    assert hardnet_mm.__version__ == version + suffix


def test_the_readme_is_short():
    """Whoever decides in a minute whether to stay reads it, and sees code of five lines."""
    assert len(README.read_text().splitlines()) <= 150
    assert max(block.code.count('\n') for block in blocks(README, 'python')) <= 5


def figures(record):
    """Return what a table says of published figures: the metrics, and what they are of."""
    metrics = [METRICS[metric].format(value) for metric, value in record.metrics.items()]
    return metrics, f'{record.data.removesuffix("-1k")} {record.split}'


def test_the_models_of_the_readme_are_the_published_ones():
    rows = table(README, 'task', 'weights')
    by_name = [row for row in rows if SCHEME in row['weights']]
    listed = [row['weights'].strip('`').removeprefix(SCHEME) for row in by_name]
    assert sorted(listed) == sorted(SHOWN.values())
    for key, row in zip(listed, by_name):
        record = WEIGHTS[key]
        assert TASKS[row['task']] == record.task
        (metric, *_), split = figures(record)
        assert row['published metric, split'] == f'{metric}, {split}'
        assert row['config'] == f'[{record.config}](configs/{record.config}.py)'
        assert normal(record.architecture) in normal(row['model'])
    for row in rows:
        if row in by_name:
            continue
        ((name, result),) = (
            (model['Name'], model['Results'][0])
            for model in own_models()
            if f'[{model["Name"]}]' in row['config'] and 'Weights' not in model
        )
        assert row['config'] == f'[{name}](configs/{name}.py)'
        mean_dice = f'{result["Metrics"]["mDice"]} mean Dice, {result["Dataset"]}'
        assert row['published metric, split'] == mean_dice


def normal(text):
    return re.sub(r'[\W_]', '', text.lower())


def test_all_published_weights_have_a_row():
    rows = table(DOCS / 'weights.md', 'name', 'config')
    assert [row['name'].strip('`') for row in rows] == list(WEIGHTS)
    for row, record in zip(rows, WEIGHTS.values()):
        metrics, split = figures(record) if record.metrics else ([], '')
        assert row['published by the authors'] == ', '.join([*metrics, split] if metrics else [])
        assert row['config'] == (f'`configs/{record.config}.py`' if record.config else '')


def test_published_figures_stand_apart_from_what_was_measured():
    rows = table(DOCS / 'benchmarks.md', 'data', 'config')
    assert len(rows) == len(SHOWN)
    for row in rows:
        config = re.search(r'configs/([\w-]+)\.py', row['config'])[1]
        metrics, split = figures(WEIGHTS[SHOWN[config]])
        assert (row['published'], row['data']) == (metrics[0].replace('box ', ''), split)


def test_the_export_formats_are_those_of_the_code():
    inside = dict(nms='NMS', decode='decoding', network='the network')
    wanted = {
        f'`{key}`': [
            f'`{row.suffix}`',
            ', '.join(f'`{suffix}`' for suffix in row.companions),
            inside[row.inside],
            'free' if row.any_size else 'fixed',
            'no' if row.int8_packages is None else 'yes',
        ]
        for key, row in FORMATS.items()
    }
    rows = table(DOCS / 'export.md', '`--format`')
    assert {row.pop('`--format`'): list(row.values()) for row in rows} == wanted


def test_registered_types_are_listed_where_they_are():
    rows = table(DOCS / 'importing.md', '`custom_imports`')
    listed = {
        row['`custom_imports`'].strip('`'): set(re.findall(r'`(\w+)`', row['types']))
        for row in rows
    }
    found = {}
    for kind in ('DATASETS', 'HOOKS', 'LOOPS', 'METRICS', 'MODELS', 'TASK_UTILS', 'TRANSFORMS'):
        for key, value in getattr(registry, kind).module_dict.items():
            package, _, module = value.__module__.partition('.')
            if package == 'hardnet_mm':
                task = module.partition('.')[0]
                package += f'.{task}' if task in ('cls', 'det', 'seg') else ''
                found.setdefault(package, set()).add(key)
    assert listed == found


@pytest.mark.parametrize('page', sorted((DOCS / 'api').glob('*.md')), ids=name)
def test_what_the_api_documents_is_there(page):
    for path in re.findall(r'^::: (\S+)$', page.read_text(), re.MULTILINE):
        package, _, last = path.rpartition('.')
        if package == 'hardnet_mm.timm':
            pytest.importorskip('timm')
        module = __import__(package or last, fromlist=[last])
        if not hasattr(module, last):
            __import__(path)
        assert inspect.getdoc(getattr(module, last)), f'{path} has no docstring'
