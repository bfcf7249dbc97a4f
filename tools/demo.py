"""Train a detector, evaluate it, and draw what it finds and its training curves.

Training is this repository's command, which is printed before it runs. It goes on where it was
broken off, and is left out where it was done.
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


def training(args, work_dir):
    """Return the command that trains: in one process on a GPU, in two on a CPU.

    The two share a batch. For small layers, that is faster than two threads.
    """
    options = [f'randomness.seed={args.seed}', 'default_hooks.visualization.draw=True']
    options += ['default_hooks.visualization.interval=1']  # an image of each batch evaluated
    command = [TOOLS / 'train.py', args.config, '--work-dir', work_dir, '--resume']
    command += ['--cfg-options', *options]
    if torch.cuda.is_available():  # it would wait for a single process to read images
        return [*command, f'train_dataloader.num_workers={min(8, os.cpu_count() or 1)}']
    if (os.cpu_count() or 1) < 2:
        return command
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', PROCESSES]
    return [*launcher, *command, '--launcher', 'pytorch']


def logged(work_dir):
    """Return what mmengine logged in a work dir, a dict a line, and the folder of the last run."""
    paths = sorted(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    return lines, paths[-1].parent if paths else None


def draw_curves(lines, output):
    """Plot the losses and the learning rate from what was logged."""
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
    work_dir = args.work_dir.resolve()
    if not any('coco/bbox_mAP' in line for line in logged(work_dir)[0]):
        command = [sys.executable, *map(str, training(args, work_dir))]
        print('\n$', shlex.join(command), flush=True)
        subprocess.run(command, check=True)

    lines, folder = logged(work_dir)
    draw_curves(lines, work_dir / 'curves.png')
    metrics = [line for line in lines if 'coco/bbox_mAP' in line][-1]
    ap = metrics['coco/bbox_mAP']
    print(
        f'\nAP {ap:.3f}, AP50 {metrics["coco/bbox_mAP_50"]:.3f} on images '
        'whose digits and photographs are not in the training set\n'
        f'detections drawn  {folder / "vis_image"}\n'
        f'training curves   {work_dir / "curves.png"}\n'
        f'checkpoint        {(work_dir / "last_checkpoint").read_text().strip()}'
    )
    if not ap >= args.least_ap:
        sys.exit(f'the AP is below {args.least_ap}')


if __name__ == '__main__':
    main()
