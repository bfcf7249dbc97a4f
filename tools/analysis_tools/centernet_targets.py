"""Time the computation of CenterNet's targets, and compare it with the forward pass.

Memory is the peak that the computation adds, including the targets themselves.
"""

import argparse
import statistics
import sys
from pathlib import Path

import torch
from mmengine.registry import init_default_scope

from hardnet_mm.benchmark.measure import interleave, peak_memory
from hardnet_mm.utils.command_line import load_config

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import add_common_arguments  # noqa: E402


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a CenterNet')
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--boxes', type=int, default=50, help='boxes an image')
    parser.add_argument('--size', type=int, default=512, help='height and width of the images')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add_common_arguments(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = load_config(args)
    init_default_scope('mmdet')
    from mmdet.registry import MODELS

    model = MODELS.build(cfg.model).to(args.device).train()
    head = model.bbox_head
    size = (args.size, args.size)
    images = torch.rand(args.batch_size, 3, *size, device=args.device)
    corners = torch.rand(args.batch_size, args.boxes, 2, 2, device=args.device).sort(dim=2)[0]
    boxes = list(corners.flatten(2) * args.size)
    labels = [torch.randint(0, head.num_classes, (args.boxes,), device=args.device) for _ in boxes]
    with torch.no_grad():
        shape = model(images[:2], mode='tensor')[0][0].shape

        def make_targets():
            return head.get_targets(boxes, labels, shape, size)

        functions = [lambda: model(images, mode='tensor'), make_targets]
        forward, targets = map(
            statistics.median, interleave(functions, args.runs, 1, device=args.device)
        )
        memory = peak_memory(make_targets, args.device)
    print(
        f'{args.batch_size} images of {args.size} x {args.size}, {args.boxes} boxes each, on '
        f'{args.device}, median of {args.runs}: forward pass {forward:.3f} s, targets '
        f'{targets:.3f} s, {100 * targets / forward:.1f} % of it'
        + (f', and {memory / 2**20:.0f} MiB' if memory is not None else '')
    )


if __name__ == '__main__':
    main()
