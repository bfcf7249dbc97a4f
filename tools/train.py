"""Train a model of mmdet, mmseg or mmpretrain, whichever the config belongs to."""

import argparse

from mmengine.runner import Runner

from hardnet_mm.checkpoint_files import check_checkpoint
from hardnet_mm.hooks import CheckpointMatchHook
from hardnet_mm.runtime import add_common_arguments, load_config


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='train config file path')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint, or, without a path, from the latest in the work dir',
    )
    parser.add_argument(
        '--amp', action='store_true', help='enable automatic-mixed-precision training (GPU)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to the actual total batch size',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    if args.resume not in (None, 'auto'):
        check_checkpoint(args.resume)
    cfg = load_config(args)

    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')

    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ValueError(f'{args.config} has no auto_scale_lr.base_batch_size to scale from')
        cfg.auto_scale_lr.enable = True

    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume

    runner = Runner.from_cfg(cfg)
    if args.resume is not None:
        runner.register_hook(CheckpointMatchHook())
    runner.train()


if __name__ == '__main__':
    main()
