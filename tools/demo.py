"""Train a detector, test it, draw its detections and its training curves, and say where they are.

Each step is one of this repository's or mmdet's commands, printed before it runs; a step whose
output is there is skipped.
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import mmdet

TOOLS = Path(__file__).parent
ANALYZE_LOGS = Path(mmdet.__file__).parent / '.mim/tools/analysis_tools/analyze_logs.py'


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a detector that trains in minutes')
    parser.add_argument('--work-dir', type=Path, required=True, help='where everything is left')
    parser.add_argument('--seed', type=int, default=0, help='random seed of the training')
    return parser.parse_args()


def run(output, script, *arguments):
    """Run a script, unless the file or folder that it makes is there."""
    if not output.exists():
        command = [sys.executable, str(script), *map(str, arguments)]
        print('\n$', shlex.join(command), flush=True)
        subprocess.run(command, check=True)


def find_one(folder, pattern):
    """Return the newest file that matches."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def main():
    args = parse_args()
    training, testing = args.work_dir / 'train', args.work_dir / 'test'
    images = (args.work_dir / 'images').resolve()
    losses = args.work_dir / 'losses.png'

    checkpoint = training / 'last_checkpoint'  # a file that names it, written with it
    seed = f'randomness.seed={args.seed}'
    run(
        checkpoint, TOOLS / 'train.py', args.config, '--work-dir', training, '--cfg-options', seed
    )
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
    scalars = find_one(training, '*/vis_data/scalars.json')
    keys = ('loss', 'loss_cls', 'loss_bbox')
    run(losses, ANALYZE_LOGS, 'plot_curve', scalars, '--keys', *keys, '--out', losses)

    metrics = json.loads(find_one(testing, '*/*.json').read_text())
    print(
        f'\nAP {metrics["coco/bbox_mAP"]:.3f}, AP50 {metrics["coco/bbox_mAP_50"]:.3f} on images '
        'whose digits and photographs were not trained on\n'
        f'detections drawn  {images}\n'
        f'training curves   {losses.resolve()}\n'
        f'checkpoint        {checkpoint.read_text().strip()}'
    )


if __name__ == '__main__':
    main()
