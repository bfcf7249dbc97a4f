"""The batch of several processes is the recipe's, or an error says why not."""

import pytest
import torch
from mmengine.config import Config

from hardnet_mm.training.total_batch import keep_total_batch, number_of_processes
from hardnet_mm.utils.errors import InputError


def recipe(batch_size, total, **others):
    return Config(
        dict(
            train_dataloader=dict(batch_size=batch_size),
            auto_scale_lr=dict(base_batch_size=total),
            **others,
        )
    )


@pytest.mark.parametrize(
    'batch_size, processes, expected',
    [(32, 1, 32), (32, 8, 4), (32, 2, 16), (2, 8, 2), (2, 4, 2), (2, 16, 2), (4, 16, 2)],
)
def test_each_process_takes_its_part(batch_size, processes, expected):
    cfg = recipe(batch_size, total=32)
    report = keep_total_batch(cfg, processes)
    assert cfg.train_dataloader.batch_size == expected
    assert bool(report) == (expected != batch_size)
    assert ('sync_bn' in cfg) == (bool(report) and torch.cuda.is_available())


def test_a_norm_of_the_config_stays(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = recipe(32, 32, sync_bn=None)
    keep_total_batch(cfg, 4)
    assert cfg.sync_bn is None
    cfg = recipe(32, 32)
    assert 'BatchNorm sees them all' in keep_total_batch(cfg, 4)
    assert cfg.sync_bn == 'torch'


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(InputError, match='32 images in all, which 5 processes cannot share'):
        keep_total_batch(recipe(32, 32), 5)


@pytest.mark.parametrize('cfg', [{}, dict(train_dataloader=dict(batch_size=4))])
def test_a_config_without_a_recipe_stays(cfg):
    changed = Config(cfg)
    assert keep_total_batch(changed, 8) == ''
    assert changed.to_dict() == cfg


@pytest.mark.parametrize(
    'launcher, variable',
    [('pytorch', 'WORLD_SIZE'), ('slurm', 'SLURM_NTASKS'), ('mpi', 'OMPI_COMM_WORLD_SIZE')],
)
def test_launchers_say_how_many(monkeypatch, launcher, variable):
    monkeypatch.delenv(variable, raising=False)
    assert number_of_processes(launcher) == number_of_processes('none') == 1
    monkeypatch.setenv(variable, '16')
    assert number_of_processes(launcher) == 16
