"""Train a detector, test it, draw its detections and its training curves, and say where they are.

Training and testing are this repository's commands, printed before they run; a step whose output is
there is skipped.
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
from mmengine.config import Config

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
        help='where everything is left',
    )
    parser.add_argument('--seed', type=int, default=0, help='random seed of the training')
    parser.add_argument(
        '--least-ap', type=float, default=0.0, help='fail if the AP is lower (default: %(default)s)'
    )
    return parser.parse_args()


def run(output, *command):
    """Run a command of Python, unless the file or folder that it makes is there."""
    if not output.exists():
        command = [sys.executable, *map(str, command)]
        print('\n$', shlex.join(command), flush=True)
        subprocess.run(command, check=True)


def training(args, work_dir):
    """Return the command that trains: two processes on a CPU's cores, one on a GPU.

    Each process takes its part of the batch. Small layers gain more by it than by two threads.
    """
    options = [f'randomness.seed={args.seed}', 'train_cfg.val_begin=1000']  # tested once, below
    command = [TOOLS / 'train.py', args.config, '--work-dir', work_dir, '--cfg-options', *options]
    if torch.cuda.is_available():  # which waits for images that one process reads
        return [*command, f'train_dataloader.num_workers={min(8, os.cpu_count() or 1)}']
    if (os.cpu_count() or 1) < 2:
        return command
    batch_size = Config.fromfile(args.config).train_dataloader.batch_size
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', PROCESSES]
    command += [f'train_dataloader.batch_size={batch_size // PROCESSES}', '--launcher', 'pytorch']
    return [*launcher, *command]


def find_one(folder, pattern):
    """Return the newest file that matches."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def draw_curves(scalars, output):
    """Plot the losses and the learning rate that a run of mmengine logged, a JSON line each."""
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    lines = [line for line in lines if 'loss' in line]  # the others are of the evaluation
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

    checkpoint = trained / 'last_checkpoint'  # a file that names it, written with it
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
        'whose digits and photographs were not trained on\n'
        f'detections drawn  {images}\n'
        f'training curves   {curves}\n'
        f'checkpoint        {checkpoint.read_text().strip()}'
    )
    if not ap >= args.least_ap:
        sys.exit(f'the AP is below {args.least_ap}')


if __name__ == '__main__':
    main()
