"""What tools/train.py and tools/test.py share: from command line to a config that can run."""

import os
import os.path as osp

import torch.distributed as dist
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.utils import import_modules_from_strings


def add_common_arguments(parser):
    """Add the arguments that every OpenMMLab toolbox's train.py and test.py know."""
    parser.add_argument('--work-dir', help='the dir to save logs, models and metrics')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config: key=value pairs, nested keys with dots, lists as '
        'key="[a,b]" or key=a,b, without white space',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torchrun passes LOCAL_RANK in the environment, torch.distributed.launch this argument
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args):
    """Return the config named by the arguments of :func:`add_common_arguments`, ready to run.

    The toolbox that the config belongs to, its ``default_scope``, is imported, so that everything
    it registers can be built.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If the config names no toolbox.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    scope = cfg.get('default_scope')
    if scope not in ('mmdet', 'mmseg', 'mmpretrain'):
        raise ValueError(
            f"{args.config}: default_scope must be 'mmdet', 'mmseg' or 'mmpretrain', got {scope!r}"
        )
    import_modules_from_strings(f'{scope}.utils').register_all_modules(init_default_scope=False)

    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('./work_dirs', osp.splitext(osp.basename(args.config))[0])
    if args.launcher == 'pytorch' and get_device() == 'cpu':
        _distribute_on_cpu(cfg)
    return cfg


def _distribute_on_cpu(cfg):
    """Let processes without a GPU work together by gloo, which mmengine alone does not set up."""
    dist.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
