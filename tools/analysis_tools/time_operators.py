"""Compare the CPU times of mmcv's compiled operators and of their stand-ins.

Both compute the same in one thread, forward and, if there is a gradient, backward. The reported
time is the CPU time of the fastest run, on which other programs have little influence. This needs
an mmcv with compiled operators for the CPU, such as that of the OpenMMLab stack.
"""

import argparse
import importlib.util
import platform
import sys
import time
import warnings
from contextlib import contextmanager

import mmcv
import torch
from list_operators import PAGE, write_between

from hardnet_mm.compat.mmcv_operators import make_extension
from hardnet_mm.compat.mmcv_operators.rotated import corners_of

BEGIN = '<!-- written by tools/analysis_tools/time_operators.py, from here -->'
END = '<!-- to here: times -->'


def boxes(count, size=512):
    """Return upright boxes, ``(count, 4)``."""
    corner = torch.rand(count, 2) * size
    return torch.cat([corner, corner + 8 + torch.rand(count, 2) * 80], dim=1)


def rotated(count, size=512):
    """Return rotated boxes, ``(count, 5)``."""
    found = torch.rand(count, 5)
    found[:, :2] *= size
    found[:, 2:4] = found[:, 2:4] * 80 + 8
    found[:, 4] = (found[:, 4] - 0.5) * 3
    return found


def regions(found):
    """Return boxes as RoIs of the first image."""
    return torch.cat([torch.zeros(len(found), 1), found], dim=1)


def cases():
    """Yield the module of mmcv.ops, a description, and a function to be timed."""
    from mmcv import ops
    from mmcv.ops.psa_mask import psa_mask

    torch.manual_seed(0)
    scores, upright, turned = torch.rand(1000), boxes(1000), rotated(1000)
    quadrilaterals = corners_of(turned).flatten(1)
    dets = torch.cat([upright, scores[:, None]], dim=1)
    yield 'nms', 'nms, 1000 boxes', lambda: ops.nms(upright, scores, 0.5)
    yield 'nms', 'softnms, 1000 boxes', lambda: ops.soft_nms(upright, scores, 0.3)
    yield 'nms', 'nms_match, 1000 boxes', lambda: ops.nms_match(dets, 0.5)
    yield 'nms', 'nms_rotated, 1000 boxes', lambda: ops.nms_rotated(turned, scores, 0.1)
    yield 'nms', 'nms_quadri, 1000', lambda: ops.nms_quadri(quadrilaterals, scores, 0.1)
    yield 'bbox', 'bbox_overlaps, 100 x 1000', lambda: ops.bbox_overlaps(upright[:100], upright)
    yield (
        'box_iou_rotated',
        'box_iou_rotated, 100 x 1000',
        lambda: ops.box_iou_rotated(turned[:100], turned),
    )
    yield (
        'box_iou_quadri',
        'box_iou_quadri, 100 x 1000',
        lambda: ops.box_iou_quadri(quadrilaterals[:100], quadrilaterals),
    )
    features = torch.randn(1, 256, 64, 64, requires_grad=True)
    for mode in ('avg', 'max'):
        pool = ops.RoIAlign(7, 1 / 8, 2, mode)
        yield (
            'roi_align',
            f'roi_align ({mode}), 256 regions, 256 channels',
            lambda pool=pool: pool(features, regions(upright[:256])),
        )
    pool_rotated = ops.RoIAlignRotated(7, 1 / 8, 2)
    yield (
        'roi_align_rotated',
        'roi_align_rotated, 256 regions, 256 channels',
        lambda: pool_rotated(features, regions(turned[:256])),
    )
    yield from dense_cases(ops, psa_mask)


def dense_cases(ops, psa_mask):
    """Yield the cases of operators on complete feature maps, as :func:`cases` does."""
    small = torch.randn(1, 256, 32, 32, requires_grad=True)
    weight = torch.randn(256, 256, 3, 3, requires_grad=True)
    offset, mask = torch.randn(1, 18, 32, 32, requires_grad=True), torch.rand(1, 9, 32, 32)
    yield (
        'deform_conv',
        'deform_conv2d, 256 x 32 x 32',
        lambda: ops.deform_conv2d(small, offset, weight, 1, 1),
    )
    yield (
        'modulated_deform_conv',
        'modulated_deform_conv2d, 256 x 32 x 32',
        lambda: ops.modulated_deform_conv2d(small, offset, mask, weight, None, 1, 1),
    )
    best = rotated(1024, 256).view(1, 32, 32, 5)
    yield (
        'rotated_feature_align',
        'rotated_feature_align, 256 x 32 x 32, 5 points',
        lambda: ops.rotated_feature_align(small, best, 1 / 8, 5),
    )
    filters = torch.randn(32, 32, 8, 3, 3, requires_grad=True)
    orders = torch.stack([torch.randperm(72) for _ in range(8)], dim=-1).int() + 1
    yield (
        'active_rotated_filter',
        'active_rotated_filter, 32 x 32 filters, 8 orientations',
        lambda: ops.active_rotated_filter(filters, orders.view(8, 3, 3, 8)),
    )
    masks = torch.randn(1, 39 * 39, 20, 20, requires_grad=True)
    yield 'psa_mask', 'psa_mask, 20 x 20', lambda: psa_mask(masks, 0, (39, 39))


@contextmanager
def stand_in(module):
    """A context in which a module of mmcv.ops calls the stand-in."""
    module = importlib.import_module(f'mmcv.ops.{module}')
    compiled = module.ext_module
    module.ext_module = make_extension()
    try:
        yield
    finally:
        module.ext_module = compiled


def seconds(function, runs):
    """Return the CPU time of the fastest run."""
    times = []
    for _ in range(runs + 1):  # the first one is not counted
        start = time.process_time()
        output = function()
        if isinstance(output, torch.Tensor) and output.requires_grad:
            output.sum().backward()
        times.append(time.process_time() - start)
    return min(times[1:])


def table(runs):
    """Return the lines of a Markdown table with a row per case."""
    lines = [
        f'mmcv {mmcv.__version__}, torch {torch.__version__}, one thread of a {platform.machine()} '
        'CPU; forward and backward where there is a gradient.',
        '',
        '| operator, and what it does | compiled, ms | stand-in, ms | times as long |',
        '|---|---|---|---|',
    ]
    for module, name, function in cases():
        compiled = seconds(function, runs)
        with stand_in(module):
            own = seconds(function, runs)
        print(f'{name}: {compiled * 1e3:.3g} and {own * 1e3:.3g} ms', file=sys.stderr)
        lines.append(f'| {name} | {compiled * 1e3:.3g} | {own * 1e3:.3g} | {own / compiled:.2g} |')
    return lines


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--runs', type=int, default=5, help='the fastest counts; default: 5')
    parser.add_argument('--write', action='store_true', help='replace the table in the docs')
    args = parser.parse_args()
    if args.runs < 1:
        parser.error(f'--runs must be at least 1, got {args.runs}')
    return args


def main():
    args = parse_args()
    if getattr(importlib.util.find_spec('mmcv._ext'), 'origin', None) is None:
        sys.exit('this mmcv was installed without compiled operators: there is nothing to compare')
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    lines = table(args.runs)
    if args.write:
        write_between(PAGE, BEGIN, END, '\n'.join(['', *lines, '']))
    else:
        print('\n'.join(lines))


if __name__ == '__main__':
    main()
