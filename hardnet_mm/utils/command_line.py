"""From the command line's arguments to a config that is ready to run, for the tools."""

import os
import os.path as osp
import warnings
from datetime import timedelta

import torch.distributed as dist
from mmengine.device import get_device

from .configs import read_config
from .toolboxes import register_toolbox


def load_config(args):
    """Return the config that a tool's arguments name, ready to run.

    The config's toolbox is imported, so that everything it registers can be built. Under a
    launcher on a machine without a GPU, the process group is initialised with gloo.

    Args:
        args (Namespace): Arguments of the parser of ``tools/command_line.py``: ``config``,
            ``cfg_options``, ``work_dir``, ``launcher`` and ``local_rank``.

    Returns:
        Config: The config, with ``launcher`` and ``work_dir`` set.

    Raises:
        FileNotFoundError: If there is no such config.
        ImportError: If the config's toolbox is not installed.
        InputError: If the config cannot be read, names no toolbox, or has no model.
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
    """Set up gloo and a model wrapper for CPUs: mmengine's own set-up needs a GPU."""
    seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
    # not None: PyTorch 2.1 takes no such timeout
    limit = {} if seconds is None else dict(timeout=timedelta(seconds=seconds))
    dist.init_process_group('gloo', **limit)
    if cfg.get('sync_bn') is not None:
        warnings.warn(
            f'sync_bn={cfg.sync_bn!r} needs GPUs: each process normalizes by its own images here',
            stacklevel=2,
        )
        cfg.sync_bn = None
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
