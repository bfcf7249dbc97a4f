"""Put HarDNet in place of a config's backbone, and adapt what depended on the old one.

The new config inherits from the old one and contains only the differences. Before it is written,
its model is built and run once.
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
        help="path, or a name such as 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'",
    )
    add(
        '--arch',
        default='hardnet68',
        help='hardnet39ds, hardnet68ds, hardnet68, hardnet85, fchardnet70 or fchardnet70_paddle; '
        'default: hardnet68',
    )
    add('--out', type=user_path, help='config to write; default: it is printed')
    add('--no-pretrained', action='store_true', help='initialise the backbone randomly')
    add('--overwrite', action='store_true', help='replace --out if it is there')
    args = parser.parse_args()
    check_file(parser, 'config', args.config)
    if args.out is not None:
        check_new_file(parser, '--out', args.out, args.overwrite, suffixes=('.py',))
        args.out = Path(args.out)
    return args


def main(args):
    from hardnet_mm.backbones.architectures import ARCHITECTURES
    from hardnet_mm.swap.backbone import holder, swap
    from hardnet_mm.swap.trial import predict
    from hardnet_mm.utils.config_text import config_text
    from hardnet_mm.utils.configs import build_model, is_pure_python, read_config, read_inherited
    from hardnet_mm.utils.errors import InputError
    from hardnet_mm.utils.files import written_whole

    if args.arch not in ARCHITECTURES:
        raise InputError(f'--arch must be among {list(ARCHITECTURES)}, got {args.arch!r}')
    logging.disable(logging.INFO)  # mmengine lists the initialisation of each parameter
    with contextlib.redirect_stdout(sys.stderr):  # some toolboxes print as they are imported
        cfg = read_config(args.config)
        if is_pure_python(cfg):
            raise InputError(
                f'{args.config} is in pure Python, from which the text that is written cannot '
                "inherit: make it a text first, by mmengine's Config.fromfile(...).dump(...)"
            )
        differences = swap(cfg, args.arch, pretrained=not args.no_pretrained)
        model = build_model(read_inherited(args.config, differences))
        predict(model, cfg)
    base = args.config
    if '::' not in base:
        base = os.path.relpath(base, args.out.parent if args.out else '.')
    text = config_text(base, differences)
    if args.out is None:
        print(text, end='')
    else:
        with written_whole(args.out) as new:
            new.write_text(text)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    old = holder(cfg.model).backbone.type
    print(
        f'{args.arch} for {old} in {args.config}: {parameters / 1e6:.1f} M '
        f'parameters, built and run once{f", written to {args.out}" if args.out else ""}',
        file=sys.stderr,
    )


if __name__ == '__main__':
    run(parse_args, main)
