"""Put HarDNet in place of a config's backbone, and rewire what depended on the old one.

The config that is written inherits from the original and shows only the differences. Its model is
built and run once before that. A report tells on the standard error what was changed and why, what
could not be decided, and what to check in training.
"""

import contextlib
import logging
import os
import sys
from pathlib import Path

from command_line import check_file, check_new_file, make_parser, run, user_path


def parse_args():
    parser = make_parser(__doc__)
    add = parser.add_argument
    add(
        'config',
        type=user_path,
        help="path, or name as 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'",
    )
    add(
        '--arch',
        default='hardnet68',
        help='hardnet39ds, hardnet68ds, hardnet68, hardnet85, fchardnet70 or fchardnet70_paddle; '
        'default: hardnet68',
    )
    add(
        '--backbone',
        help='which part of the model to replace, where it is not found or there are several, '
        'such as student.backbone',
    )
    add(
        '--outputs',
        nargs='+',
        metavar='CHANNELS:STRIDE',
        help='what the old backbone gives, as 256:4 512:8, where it cannot be built here',
    )
    add(
        '--imports',
        nargs='+',
        default=[],
        metavar='MODULE',
        help="modules that register the project's classes, where its own train.py imports them "
        'and not the config',
    )
    add(
        '--no-run',
        action='store_true',
        help='only build the new model: for one that takes more than images',
    )
    add('--out', type=user_path, help='config to write; printed where it is not given')
    add('--no-pretrained', action='store_true', help='start from random weights')
    add('--overwrite', action='store_true', help='replace --out if it is there')
    args = parser.parse_args()
    check_file(parser, 'config', args.config)
    if args.out is not None:
        check_new_file(parser, '--out', args.out, args.overwrite, suffixes=('.py',))
        args.out = Path(args.out)
    return args


def main(args):
    from mmengine.utils import import_modules_from_strings

    from hardnet_mm.backbones.architectures import ARCHITECTURES
    from hardnet_mm.swap.backbone import plan_swap
    from hardnet_mm.swap.places import reach
    from hardnet_mm.swap.probe import told_outputs
    from hardnet_mm.swap.report import report
    from hardnet_mm.swap.trial import predict
    from hardnet_mm.utils.config_text import config_text
    from hardnet_mm.utils.configs import build_model, is_pure_python, read_config, read_inherited
    from hardnet_mm.utils.errors import InputError
    from hardnet_mm.utils.files import written_whole

    if args.arch not in ARCHITECTURES:
        raise InputError(f'--arch must be among {list(ARCHITECTURES)}, got {args.arch!r}')
    logging.disable(logging.INFO)  # what each parameter is initialized with
    with contextlib.redirect_stdout(sys.stderr):  # some toolboxes print as they are imported
        sys.path.insert(0, os.curdir)  # as for a script of the project's own
        import_modules_from_strings(args.imports)
        cfg = read_config(args.config)
        if is_pure_python(cfg):
            raise InputError(
                f'{args.config} is in pure Python, from which the text that is written cannot '
                "inherit: make it a text first, by mmengine's Config.fromfile(...).dump(...)"
            )
        outputs = told_outputs(args.outputs) if args.outputs else None
        swap = plan_swap(cfg, args.arch, not args.no_pretrained, args.backbone, outputs)
        model = build_model(read_inherited(args.config, swap.differences))
        if not args.no_run:
            predict(model, cfg)
    base = args.config
    if '::' not in base:
        base = os.path.relpath(base, args.out.parent if args.out else '.')
    text = config_text(base, swap.differences)
    if args.out is None:
        print(text, end='')
    else:
        with written_whole(args.out) as new:
            new.write_text(text)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines = report(cfg, swap)
    lines.append(
        f'{args.arch} for {reach(cfg.model, swap.keys).type} in {args.config}: '
        f'{parameters / 1e6:.1f} M parameters, built{"" if args.no_run else " and run once"}'
        f'{f", written to {args.out}" if args.out else ""}'
    )
    print(*lines, sep='\n', file=sys.stderr)


if __name__ == '__main__':
    run(parse_args, main)
