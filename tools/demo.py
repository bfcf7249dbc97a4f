"""Train and test a detector, and draw its detections and training curves.

Training and testing use this repository's commands, which are printed before they run. A step is
skipped if its output exists.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib
import torch
from command_line import expanded_path

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402

TOOLS = Path(__file__).parent
PROCESSES = 2


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a detector that trains in minutes')
    parser.add_argument(
        '--work-dir',
        type=expanded_path,
        required=True,
        help='folder for all outputs',
    )
    parser.add_argument('--seed', type=int, default=0, help='random seed of the training')
    parser.add_argument(
        '--least-ap', type=float, default=0.0, help='fail below this AP (default: %(default)s)'
    )
    return parser.parse_args()


def run(output, *command):
    """Run a Python command, unless the file or folder that it makes exists."""
    if not output.exists():
        command = [sys.executable, *map(str, command)]
        print('\n$', shlex.join(command), flush=True)
        subprocess.run(command, check=True)


def training(args, work_dir):
    """Return the command that trains: in one process on a GPU, in two on a CPU.

    The two share a batch. For small layers, that is faster than two threads.
    """
    options = [f'randomness.seed={args.seed}', 'train_cfg.val_begin=1000']  # tested later, once
    command = [TOOLS / 'train.py', args.config, '--work-dir', work_dir, '--cfg-options', *options]
    if torch.cuda.is_available():  # it would wait for a single process to read images
        return [*command, f'train_dataloader.num_workers={min(8, os.cpu_count() or 1)}']
    if (os.cpu_count() or 1) < 2:
        return command
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', PROCESSES]
    return [*launcher, *command, '--launcher', 'pytorch']


def find_one(folder, pattern):
    """Return the newest file that matches."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def draw_curves(scalars, output):
    """Plot the losses and the learning rate from a log of mmengine, a JSON object a line."""
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    lines = [line for line in lines if 'loss' in line]  # the other lines are evaluations
    steps = [line['step'] for line in lines]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout='constrained')
    for key in ('loss', 'loss_cls', 'loss_bbox'):
        left.plot(steps, [line[key] for line in lines], label=key)
    left.set(xlabel='iteration', yscale='log', title='training losses')
    left.legend()
    right.plot(steps, [line['lr'] for line in lines])
    right.set(xlabel='iteration', title='learning rate')
    figure.savefig(output)


def main():
    args = parse_args()
    trained, testing = args.work_dir / 'train', args.work_dir / 'test'
    images = (args.work_dir / 'images').resolve()
    curves = (args.work_dir / 'curves.png').resolve()

    checkpoint = trained / 'last_checkpoint'  # a text file with the checkpoint's path
    run(checkpoint, *training(args, trained))
    run(
        images,
        TOOLS / 'test.py',
        args.config,
        checkpoint.read_text().strip(),
        '--work-dir',
        testing,
        '--show-dir',
        images,
    )
    scalars = find_one(trained, '*/vis_data/scalars.json')
    draw_curves(scalars, curves)

    metrics = json.loads(find_one(testing, '*/*.json').read_text())
    ap = metrics['coco/bbox_mAP']
    print(
        f'\nAP {ap:.3f}, AP50 {metrics["coco/bbox_mAP_50"]:.3f} on images '
        'whose digits and photographs are not in the training set\n'
        f'detections drawn  {images}\n'
        f'training curves   {curves}\n'
        f'checkpoint        {checkpoint.read_text().strip()}'
    )
    if not ap >= args.least_ap:
        sys.exit(f'the AP is below {args.least_ap}')


if __name__ == '__main__':
    main()
