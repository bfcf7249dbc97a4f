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
        help='use the full batch_size in each process, and scale the learning rate to the batch '
        'in all; without it, several processes share the batch that the learning rate is for, '
        'unless --cfg-options sets train_dataloader.batch_size',
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
    """Make a config resume from a checkpoint, or, for 'auto', from the latest in its work dir.

    If the work dir has no checkpoint, training starts from the config's ``load_from``.
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
    from hardnet_mm.training.total_batch import keep_total_batch, number_of_processes
    from hardnet_mm.utils.command_line import load_config
    from hardnet_mm.utils.data_settings import check_data_files
    from hardnet_mm.utils.errors import InputError

    if args.resume not in (None, 'auto'):
        check_checkpoint(args.resume)
    cfg = load_config(args)

    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')

    shared = ''
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise InputError(f'{args.config} has no auto_scale_lr.base_batch_size to scale from')
        cfg.auto_scale_lr.enable = True
    elif 'train_dataloader.batch_size' not in (args.cfg_options or {}):
        shared = keep_total_batch(cfg, number_of_processes(args.launcher))

    if args.resume is not None:
        resume(cfg, args.resume)
    if cfg.get('load_from') and not cfg.get('resume'):
        check_checkpoint(cfg.load_from)

    check_data_files(cfg, 'train_dataloader', 'val_dataloader', 'val_evaluator')
    runner = Runner.from_cfg(cfg)
    if shared:
        runner.logger.info(shared)
    runner.register_hook(
        CheckpointMatchHook(resumes=True) if cfg.get('resume') else PartialCheckpointHook()
    )
    runner.register_hook(FiniteLossHook())
    runner.train()


if __name__ == '__main__':
    run(parse_args, main)
