import socket
from argparse import Namespace

import pytest
import torch
from torch import distributed

from hardnet_mm.utils.command_line import load_config


@pytest.fixture
def environment(monkeypatch):
    """What torchrun tells the only process that it starts."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    told = dict(RANK=0, WORLD_SIZE=1, LOCAL_RANK=0, MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    for name, value in told.items():
        monkeypatch.setenv(name, str(value))
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()


@pytest.mark.skipif(torch.cuda.is_available(), reason='mmengine sets up the GPUs by itself')
@pytest.mark.parametrize('options', [None, {'env_cfg.dist_cfg.timeout': 60}], ids=str)
def test_processes_on_a_cpu_are_set_up(options, environment, root, tmp_path):
    config = str(root / 'configs/digits/ssd_hardnet_digits.py')
    cfg = load_config(
        Namespace(
            config=config, cfg_options=options, work_dir=None, launcher='pytorch', local_rank=0
        )
    )
    assert distributed.get_backend() == 'gloo' and distributed.get_world_size() == 1
    assert cfg.model_wrapper_cfg.device_ids is None
    assert cfg.work_dir == './work_dirs/ssd_hardnet_digits'
