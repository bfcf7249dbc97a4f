"""Train a model of mmdet, mmseg or mmpretrain, whichever the config belongs to."""

from command_line import add_common_arguments, check_file, make_parser, run, user_path


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        'config', type=user_path, help="path, or name as 'hardnet_mm::ssd512_hardnet68_coco.py'"
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        type=user_path,
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
    args = parser.parse_args()
    check_file(parser, 'config', args.config)
    if args.resume not in (None, 'auto'):
        check_file(parser, 'checkpoint', args.resume)
    if args.amp:
        from mmengine.device import get_device

        if get_device() == 'cpu':
            parser.error('--amp needs a GPU, and PyTorch finds none here')
    return args


def resume(cfg, checkpoint):
    """Let a config go on from a checkpoint, or, by 'auto', from the latest in its work dir.

    Where there is none yet, training starts as the config says, from its ``load_from``.
    """
    from hardnet_mm.checkpoints.latest import find_latest

    if checkpoint == 'auto':
        checkpoint = find_latest(cfg.work_dir)
    if checkpoint is not None:
        cfg.resume, cfg.load_from = True, str(checkpoint)


def main(args):
    from mmengine.runner import Runner

    from hardnet_mm.checkpoints.files import check_checkpoint
    from hardnet_mm.checkpoints.hooks import CheckpointMatchHook, PartialCheckpointHook
    from hardnet_mm.training.hooks import FiniteLossHook
    from hardnet_mm.utils.command_line import load_config
    from hardnet_mm.utils.errors import InputError

    if args.resume not in (None, 'auto'):
        check_checkpoint(args.resume)
    cfg = load_config(args)

    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')

    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise InputError(f'{args.config} has no auto_scale_lr.base_batch_size to scale from')
        cfg.auto_scale_lr.enable = True

    if args.resume is not None:
        resume(cfg, args.resume)
    if cfg.get('load_from') and not cfg.get('resume'):
        check_checkpoint(cfg.load_from)

    runner = Runner.from_cfg(cfg)
    runner.register_hook(
        CheckpointMatchHook(resumes=True) if cfg.get('resume') else PartialCheckpointHook()
    )
    runner.register_hook(FiniteLossHook())
    runner.train()


if __name__ == '__main__':
    run(parse_args, main)
