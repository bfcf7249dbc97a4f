"""List the configs with data, published result, weights, parameters and MACs: configs/README.md.

MACs are counted as by benchmark.py: for one image, without auxiliary heads. For all configs,
counting takes some minutes.
"""

import argparse
import logging
import sys

import torch

from hardnet_mm.benchmark.measure import count_macs
from hardnet_mm.benchmark.models import Subject
from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.utils.configs import build_model, read_config
from hardnet_mm.utils.datasets import leaf_datasets
from hardnet_mm.utils.files import written_whole
from hardnet_mm.utils.own_files import OWN_FILES, own_models

CONFIGS = OWN_FILES / 'configs'
LIST = CONFIGS / 'README.md'
HEADER = """# Configs

Written by `python tools/analysis_tools/list_configs.py --write`. Published results are those of the
original programs ([`published.py`](../hardnet_mm/checkpoints/published.py)), not measured here;
after each stands the split that it was measured on. Weights load by `hardnet://NAME`. Parameters
and MACs are counted as the model predicts one image of the input size, without auxiliary heads: the
MACs of convolutions, linear layers and attentions.

"""
COLUMNS = ('config', 'data', 'published', 'weights', 'input', 'parameters', 'GMACs')
GROUPS = {
    "The originals' models": '*.py',
    "HarDNet in the toolboxes' own models": 'toolbox_models/*.py',
    'Small models for the data of `tools/dataset_converters/digits.py`': 'digits/*.py',
}
# For each type of data set: its name in the list, and the height and width that its images are
# tested at, None if the test pipeline's Resize determines them.
DATA_SETS = dict(
    ImageNet=('ImageNet-1k', (224, 224)),
    CocoDataset=('COCO', None),
    VOCDataset=('Pascal VOC 07+12', None),
    CityscapesDataset=('Cityscapes', (1024, 2048)),
    ChaseDB1Dataset=('CHASE_DB1', (128, 128)),
    ADE20KDataset=('ADE20K', (512, 512)),
    PolypDataset=('polyps', None),
    BinaryMaskDataset=('DFUC2022', None),
)
DIGITS = dict(
    CocoDataset=('digits', None),
    BaseSegDataset=('digits', None),
    BinaryMaskDataset=('digits', None),
    CustomDataset=('digits, crops', (48, 48)),
)


def facts(path, cfg):
    """Return the columns that need no model, and the height and width of the test images."""
    leaf = next(leaf_datasets(cfg.test_dataloader.dataset))
    names = DIGITS if leaf.data_root.startswith('data/digits') else DATA_SETS
    data, size = names[leaf.type]
    size = size or resized(leaf.pipeline)
    weights = {name: record for name, record in WEIGHTS.items() if record.config == path.stem}
    published = [
        described(record.metrics, f'{record.data} {record.split}') for record in weights.values()
    ] or [
        described(result['Metrics'], result['Dataset'])
        for model in own_models()
        if model['Name'] == path.stem
        for result in model['Results']
    ]
    links = [f'[{name}]({record.address})' for name, record in weights.items()]
    name = path.relative_to(CONFIGS)
    row = (f'[{name}]({name})', data, '; '.join(published), ', '.join(links))
    return [*row, f'{size[0]} x {size[1]}'], size


def described(metrics, data):
    """Return a published result as text: the metrics, then the data set and split."""
    return f'{", ".join(f"{metric} {value}" for metric, value in metrics.items())}, {data}'


def resized(pipeline):
    """Return the height and width of a pipeline's images, padded to a multiple of 32 as in mmdet.

    Without a Resize, it is 512 x 672: CenterNet pads most images of COCO, 480 x 640, to that.
    """
    scales = [transform.scale for transform in pipeline if transform.type == 'Resize']
    width, height = scales[0] if scales else (672, 512)
    return -(-height // 32) * 32, -(-width // 32) * 32


@torch.no_grad()
def counts(cfg, size):
    """Return the columns of a model's parameters and MACs."""
    model = Subject(build_model(cfg), cfg.default_scope)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    macs = count_macs(model, torch.rand(1, 3, *size))
    return [f'{parameters / 1e6:.2f} M', f'{macs / 1e9:.2f}']


def rows(pattern):
    """Return a group's rows, each a list of cells."""
    found = []
    for path in sorted(CONFIGS.glob(pattern)):
        cfg = read_config(str(path))
        row, size = facts(path, cfg)
        found.append(row + counts(cfg, size))
    return found


def parse(text):
    """Return the rows in the text of a list, group by group."""
    groups = {}
    for line in text.splitlines():
        if line.startswith('## '):
            group = groups.setdefault(line.removeprefix('## '), [])
        elif line.startswith('| ['):
            group.append(line.removeprefix('| ').removesuffix(' |').split(' | '))
    return groups


def render(groups):
    """Return the text of a list."""
    parts = []
    for title, group in groups.items():
        lines = [COLUMNS, ['---'] * len(COLUMNS), *group]
        table = '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)
        parts.append(f'## {title}\n\n{table}\n')
    return HEADER + '\n'.join(parts)


def differences():
    """Yield the rows in which the list in the repository differs from configs and records."""
    text = LIST.read_text(encoding='utf-8')
    groups = parse(text)
    if render(groups) != text:
        yield 'the text around the tables'
    for title, pattern in GROUPS.items():
        there = groups.get(title, [])
        wanted = rows(pattern)
        yield from (f'missing: {" | ".join(row)}' for row in wanted if row not in there)
        yield from (f'wrong: {" | ".join(row)}' for row in there if row not in wanted)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument('--write', action='store_true', help='replace configs/README.md')
    action.add_argument(
        '--check', action='store_true', help='fail where configs/README.md is not up to date'
    )
    return parser.parse_args()


def main():
    args = parse_args()
    logging.disable(logging.INFO)  # mmengine lists the initialisation of each parameter
    if args.check:
        wrong = list(differences())
        if wrong:
            sys.exit('\n'.join([f'{LIST} is not up to date, --write replaces it:', *wrong]))
        return
    text = render({title: rows(pattern) for title, pattern in GROUPS.items()})
    if not args.write:
        print(text, end='')
        return
    with written_whole(LIST) as new:
        new.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
