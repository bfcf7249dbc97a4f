"""Put HarDNet in place of a config's backbone, and rewire what depended on the old one.

The config that is written inherits from the original and shows only the differences. Its model is
built and run once before that.
"""

import argparse
import contextlib
import logging
import os
import sys
import tempfile
from pathlib import Path

from hardnet_mm.backbones.architectures import ARCHITECTURES
from hardnet_mm.config_text import config_text
from hardnet_mm.model_config import build_model, read_config, read_inherited
from hardnet_mm.swap import swap
from hardnet_mm.trial import predict


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help="path, or name as 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'")
    add('--arch', choices=ARCHITECTURES, default='hardnet68')
    add('--out', type=Path, help='config to write; printed where it is not given')
    add('--no-pretrained', action='store_true', help='start from random weights')
    add('--overwrite', action='store_true', help='replace --out if it is there')
    args = parser.parse_args()
    if args.out is not None and args.out.exists() and not args.overwrite:
        parser.error(f'--out {args.out} is there already: choose another or pass --overwrite')
    return args


def write(text, path):
    """Put a text at a path, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.swap-', dir=path.parent) as folder:
        Path(folder, path.name).write_text(text)
        os.replace(Path(folder, path.name), path)


def main():
    args = parse_args()
    logging.disable(logging.INFO)  # what each parameter is initialized with
    with contextlib.redirect_stdout(sys.stderr):  # some toolboxes print as they are imported
        cfg = read_config(args.config)
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
        write(text, args.out)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(
        f'{args.arch} for {cfg.model.backbone.type} in {args.config}: {parameters / 1e6:.1f} M '
        f'parameters, built and run once{f", written to {args.out}" if args.out else ""}',
        file=sys.stderr,
    )


if __name__ == '__main__':
    main()
