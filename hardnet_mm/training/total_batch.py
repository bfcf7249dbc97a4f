"""Sharing the recipe's total batch among several processes."""

import os

import torch

from ..utils.errors import InputError

PROCESSES = dict(pytorch='WORLD_SIZE', slurm='SLURM_NTASKS', mpi='OMPI_COMM_WORLD_SIZE')


def number_of_processes(launcher):
    """Return the number of processes that a launcher started, from its environment variable."""
    return int(os.environ.get(PROCESSES.get(launcher, ''), 1))


def keep_total_batch(cfg, processes):
    """Divide a config's batch size by the number of processes, if their total would be too large.

    In all toolboxes ``train_dataloader.batch_size`` is the batch size of one process.
    ``auto_scale_lr.base_batch_size`` is the total batch size for which the learning rate was
    chosen. If the batch is divided on GPUs, BatchNorm computes its statistics over all processes,
    unless the config sets ``sync_bn`` itself.

    Args:
        cfg (Config): The config, changed in place.
        processes (int): Number of processes.

    Returns:
        str: A line for the log; empty if nothing changed.

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
