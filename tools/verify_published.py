"""Test published weights on validation data, and compare the results with the published figures.

Each file is downloaded and its hash is checked. Data is read from the configs' places: COCO's
val2017 from data/coco/, ImageNet's val from data/imagenet/, Cityscapes's val from
data/cityscapes/. Weights whose data is missing are skipped, with the reason.
"""

import argparse
import os

from command_line import Settings, make_parser, run, user_path

# For each published metric: the toolbox's name of it, and the factor to per cent.
METRICS = {
    'box AP': ('coco/bbox_mAP', 100),
    'mIoU': ('mIoU', 1),
    'Top 1 Accuracy': ('accuracy/top1', 1),
    'Top 5 Accuracy': ('accuracy/top5', 1),
}
# The allowed difference from the published figure, in per cent: other releases of libraries decode
# and resize images differently. COCO's test-dev has no public labels, so val is tested instead.
ALLOWED = {'box AP': 0.3, 'mIoU': 0.3, 'Top 1 Accuracy': 0.2, 'Top 5 Accuracy': 0.2}
ALLOWED_ON_ANOTHER_SPLIT = 1.0
NUM_IMAGES = {'COCO': 5000, 'ImageNet-1k': 50_000, 'Cityscapes': 500}
COLUMNS = '{:30} {:15} {:>7} {:>10} {:>11} {:>8}  {}'


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        'names',
        nargs='*',
        metavar='NAME',
        help='published weights, as in hardnet://NAME; default: all that have figures',
    )
    parser.add_argument(
        '--work-dir',
        type=user_path,
        default='work_dirs/verify_published',
        help='folder for logs, with a subfolder for each name',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Settings,
        help='override settings of every config, as in tools/test.py',
    )
    return parser.parse_args()


def chosen(names):
    """Return the records to check, by name, in the order of the records.

    Raises:
        InputError: If a name is unknown, has no published figures, or has no config.
    """
    from hardnet_mm.checkpoints.published import SCHEME, WEIGHTS, get_weights
    from hardnet_mm.utils.errors import InputError

    able = {name: record for name, record in WEIGHTS.items() if record.metrics and record.config}
    names = [name.removeprefix(SCHEME) for name in names]
    for name in names:
        get_weights(name)
        if name not in able:
            raise InputError(
                f'{name} has no published figures that a config could check: allowed are '
                f'{list(able)}'
            )
    return {name: record for name, record in able.items() if not names or name in names}


def evaluate(name, record, args):
    """Test the weights of a name with their config.

    Returns:
        tuple[dict, int]: The metrics, and the number of images.

    Raises:
        FileNotFoundError: If data is missing.
        ConnectionError: If the weights cannot be downloaded.
        InputError: If the weights are not the published ones.
    """
    from mmengine.runner import Runner

    from hardnet_mm.checkpoints.download import find_weights
    from hardnet_mm.checkpoints.hooks import CheckpointMatchHook
    from hardnet_mm.checkpoints.published import SCHEME
    from hardnet_mm.utils.command_line import load_config
    from hardnet_mm.utils.data_settings import check_data_files

    given = argparse.Namespace(
        config=f'hardnet_mm::{record.config}.py',
        cfg_options=args.cfg_options,
        work_dir=os.path.join(args.work_dir, name),
        launcher='none',
        local_rank=0,
    )
    cfg = load_config(given)
    check_data_files(cfg, 'test_dataloader', 'test_evaluator')  # before anything is downloaded
    find_weights(name)
    cfg.load_from = SCHEME + name
    cfg.experiment_name = f'verify_{name}'
    runner = Runner.from_cfg(cfg)
    runner.register_hook(CheckpointMatchHook())
    return runner.test(), len(runner.test_dataloader.dataset)


def compare(record, found, num_images):
    """Return a row for each published metric: name, ours, theirs, allowed difference, verdict."""
    rows = []
    for metric, theirs in record.metrics.items():
        key, per_cent = METRICS[metric]
        ours = found[key] * per_cent
        allowed = ALLOWED[metric] if record.split == 'val' else ALLOWED_ON_ANOTHER_SPLIT
        verdict = 'agrees' if abs(ours - theirs) <= allowed else 'differs'
        if num_images != NUM_IMAGES[record.data]:
            verdict = f'undecided: {num_images} images of {NUM_IMAGES[record.data]}'
        elif record.split != 'val':
            verdict += f' (theirs is of {record.split})'
        rows.append((metric, ours, theirs, allowed, verdict))
    return rows


def check(name, record, args):
    """Print the rows of a name, and return the verdicts, a word for each row."""
    from hardnet_mm.utils.errors import InputError

    try:
        rows = compare(record, *evaluate(name, record, args))
    except (ConnectionError, FileNotFoundError, ImportError) as error:
        print(f'{name:30} skipped: {" ".join(str(error).split())}', flush=True)
        return ['skipped']
    except InputError as error:  # the file is not the published one
        print(f'{name:30} refused: {" ".join(str(error).split())}', flush=True)
        return ['refused']
    for metric, ours, theirs, allowed, verdict in rows:
        numbers = (f'{ours:.2f}', f'{theirs:.2f}', f'{ours - theirs:+.2f}', f'{allowed:.2f}')
        print(COLUMNS.format(name, metric, *numbers, verdict), flush=True)
    return [verdict.split()[0].rstrip(':') for *_, verdict in rows]


def main(args):
    records = chosen(args.names)
    titles = ('name', 'metric', 'ours', 'published', 'difference', 'allowed', '')
    print(COLUMNS.format(*titles).rstrip(), flush=True)
    verdicts = [verdict for name in records for verdict in check(name, records[name], args)]
    counts = {
        verdict: verdicts.count(verdict)
        for verdict in ('agrees', 'differs', 'refused', 'undecided', 'skipped')
    }
    print(f'total: {", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)}')
    if counts['differs'] or counts['refused']:
        raise SystemExit(1)


if __name__ == '__main__':
    run(parse_args, main)
