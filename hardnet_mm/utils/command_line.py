"""What the tools that run a config share: from the command line's arguments to a ready config."""

import os
import os.path as osp
import warnings
from datetime import timedelta

import torch.distributed as dist
from mmengine.device import get_device

from .configs import read_config
from .toolboxes import register_toolbox


def load_config(args):
    """Return the config named by the arguments of ``tools/command_line.py``, ready to run.

    The toolbox that the config belongs to is imported, so that everything it registers can be
    built.

    Raises:
        FileNotFoundError: If there is no such config.
        ImportError: If its toolbox is not installed.
        InputError: If it cannot be read, names no toolbox, or has no model.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    register_toolbox(cfg.default_scope)

    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('./work_dirs', osp.splitext(osp.basename(cfg.filename))[0])
    cfg.work_dir = osp.expanduser(cfg.work_dir)
    if args.launcher == 'pytorch' and get_device() == 'cpu':
        _distribute_on_cpu(cfg)
    return cfg


def _distribute_on_cpu(cfg):
    """Let processes without a GPU work together by gloo, which mmengine alone does not set up."""
    settings = cfg.get('env_cfg', {}).get('dist_cfg', {})
    seconds = settings.get('timeout')
    dist.init_process_group('gloo', timeout=seconds and timedelta(seconds=seconds))
    if cfg.get('sync_bn') is not None:
        warnings.warn(
            f'sync_bn={cfg.sync_bn!r} needs GPUs: on CPUs each process normalizes by its own images',
            stacklevel=2,
        )
        cfg.sync_bn = None
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
