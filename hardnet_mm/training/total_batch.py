"""The batch of several processes: as large in all as the learning rate is for."""

import os

import torch

from ..utils.errors import InputError

PROCESSES = dict(pytorch='WORLD_SIZE', slurm='SLURM_NTASKS', mpi='OMPI_COMM_WORLD_SIZE')


def number_of_processes(launcher):
    """Return how many processes a launcher started, as it says in the environment."""
    return int(os.environ.get(PROCESSES.get(launcher, ''), 1))


def keep_total_batch(cfg, processes):
    """Divide a config's batch among processes where together they would exceed the recipe's.

    ``train_dataloader.batch_size`` is that of one process, in each toolbox.
    ``auto_scale_lr.base_batch_size`` is the batch in all that the config's learning rate is for.
    On GPUs, BatchNorm computes its statistics over all processes then, unless the config has a
    ``sync_bn`` of its own.

    Args:
        cfg (Config): It is changed in place.
        processes (int): Number of processes.

    Returns:
        str: What was done, for the log; empty where nothing had to be.

    Raises:
        InputError: If the batch cannot be divided by the number of processes.
    """
    total = cfg.get('auto_scale_lr', {}).get('base_batch_size')
    batch_size = cfg.get('train_dataloader', {}).get('batch_size')
    if not total or not batch_size or processes * batch_size <= total:
        return ''
    if total % processes:
        raise InputError(
            f'the learning rate is for {total} images in all, which {processes} processes cannot '
            'share equally: start another number of them, or pass --auto-scale-lr, or set '
            'train_dataloader.batch_size, the batch of each process, by --cfg-options'
        )
    cfg.train_dataloader.batch_size = total // processes
    synchronized = ''
    if torch.cuda.is_available() and 'sync_bn' not in cfg:
        cfg.sync_bn = 'torch'
        synchronized = ', and BatchNorm sees them all'
    return (
        f'{processes} processes train on {total // processes} images each, {total} in all, which '
        f'the learning rate is for{synchronized}'
    )
