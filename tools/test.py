"""Test a model of mmdet, mmseg or mmpretrain, whichever the config belongs to."""

from copy import deepcopy

from command_line import (
    add_common_arguments,
    check_file,
    check_new_file,
    make_parser,
    run,
    user_path,
)

# The models that average over augmented images, for configs that do not name one.
TTA_MODELS = dict(
    mmdet=dict(
        type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
    ),
    mmseg=dict(type='SegTTAModel'),
    mmpretrain=dict(type='AverageClsScoreTTA'),
)


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        'config', type=user_path, help="path, or name as 'hardnet_mm::ssd512_hardnet68_coco.py'"
    )
    parser.add_argument(
        'checkpoint',
        type=user_path,
        nargs='+',
        help='checkpoint, or file of tools/export.py; several checkpoints of a segmentor, for '
        'example one per fold, are averaged',
    )
    parser.add_argument('--out', type=user_path, help='dump predictions to this new pickle file')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument(
        '--show-dir',
        type=user_path,
        help='directory where images with predictions are saved, below work_dir/timestamp unless '
        'it is absolute',
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds each image is shown for'
    )
    parser.add_argument(
        '--deploy',
        choices=['float32', 'bfloat16', 'float16'],
        help='test the inference form, hardnet_mm.deploy.to_deploy, in this type',
    )
    parser.add_argument('--tta', action='store_true', help='average over test-time augmentation')
    add_common_arguments(parser)
    args = parser.parse_args()
    check_file(parser, 'config', args.config)
    for checkpoint in args.checkpoint:
        check_file(parser, 'checkpoint', checkpoint)
    if args.tta and args.deploy:
        parser.error('--tta and --deploy cannot go together')
    if args.out is not None:
        check_new_file(parser, '--out', args.out, overwrite=None, suffixes=('.pkl', '.pickle'))
    return args


def draw(cfg, args):
    """Turn on the toolbox's visualization hook. Each toolbox names the arguments differently."""
    from hardnet_mm.utils.errors import InputError

    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise InputError('--show and --show-dir need default_hooks.visualization in the config')
    hook.update(show=args.show, wait_time=args.wait_time)
    if cfg.default_scope == 'mmpretrain':
        hook.update(enable=True, out_dir=args.show_dir)
    else:
        hook.draw = True
    if cfg.default_scope == 'mmdet':
        hook.test_out_dir = args.show_dir
    elif cfg.default_scope == 'mmseg':
        hook.interval = 1  # otherwise mmseg may draw every 50th image only
        cfg.visualizer.save_dir = args.show_dir


def augment(cfg):
    """Turn on the config's test-time augmentation, or a horizontal flip if it has none."""
    from mmengine.config import ConfigDict

    from hardnet_mm.utils.datasets import leaf_datasets

    for dataset in leaf_datasets(cfg.test_dataloader.dataset):
        dataset.pipeline = cfg.get('tta_pipeline') or with_flip(dataset.pipeline)
    cfg.model = ConfigDict(**cfg.get('tta_model', TTA_MODELS[cfg.default_scope]), module=cfg.model)


def with_flip(pipeline):
    """Return a test pipeline that gives each image twice, the second time mirrored."""
    pack = deepcopy(pipeline[-1])
    if 'meta_keys' in pack:
        pack.meta_keys = (*pack.meta_keys, 'flip', 'flip_direction')
    # the unmirrored image first: the metrics use its ground truth
    flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)]
    return [*pipeline[:-1], dict(type='TestTimeAug', transforms=[flips, [pack]])]


def average(cfg, count):
    """Replace the model by an ensemble of ``count`` segmentors."""
    from mmengine.config import ConfigDict

    from hardnet_mm.seg.ensemble import ensemble_config
    from hardnet_mm.utils.errors import InputError

    if cfg.default_scope != 'mmseg':
        raise InputError('several checkpoints are averaged for segmentors alone: name one')
    cfg.model = ConfigDict(ensemble_config(cfg.model, count))


def load(runner, checkpoints, runtime):
    """Load an exported file, or several checkpoints. The runner loads a single checkpoint."""
    if runtime is not None:
        from hardnet_mm.export.end_to_end import build_end_to_end
        from hardnet_mm.export.exported_model import ExportedModel, check_classes

        check_classes(checkpoints[0], runtime, runner.model)
        runner.model = ExportedModel(build_end_to_end(runner.model), runtime)
    elif len(checkpoints) > 1:
        from hardnet_mm.seg.ensemble import load_segmentors

        load_segmentors(runner.model, checkpoints)
    else:
        from hardnet_mm.checkpoints.hooks import CheckpointMatchHook

        runner.register_hook(CheckpointMatchHook())


def read_exported(args):
    """Return the runtime of an exported file, or None for checkpoints, which are checked."""
    from hardnet_mm.checkpoints.files import check_checkpoint
    from hardnet_mm.export import formats
    from hardnet_mm.utils.errors import InputError

    exported = any(map(formats.is_exported, args.checkpoint))
    if exported and (args.tta or args.deploy or len(args.checkpoint) > 1):
        raise InputError('averages, --tta and --deploy are for checkpoints, not exported files')
    if exported:
        return formats.load(args.checkpoint[0])
    for checkpoint in args.checkpoint:
        check_checkpoint(checkpoint)


def main(args):
    from mmengine.evaluator import DumpResults
    from mmengine.runner import Runner

    from hardnet_mm.deploy import DeployHook
    from hardnet_mm.utils.command_line import load_config
    from hardnet_mm.utils.data_settings import check_data_files

    runtime = read_exported(args)
    cfg = load_config(args)
    cfg.load_from = None
    if len(args.checkpoint) > 1:
        average(cfg, len(args.checkpoint))
    elif runtime is None:
        cfg.load_from = args.checkpoint[0]
    if args.show or args.show_dir:
        draw(cfg, args)
    if args.tta:
        augment(cfg)

    check_data_files(cfg, 'test_dataloader', 'test_evaluator')
    runner = Runner.from_cfg(cfg)
    load(runner, args.checkpoint, runtime)
    if args.deploy:
        runner.register_hook(DeployHook(args.deploy))
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    runner.test()


if __name__ == '__main__':
    run(parse_args, main)
