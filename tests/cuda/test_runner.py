"""mmengine's runner on a GPU: hooks, saving and resuming, one process of a distributed training."""

import socket

import pytest
import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.hooks import EMAHook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytestmark = pytest.mark.cuda


@pytest.fixture
def config(root, digits, device, tmp_path):
    """SSD on a few digits' images, an epoch of three steps."""
    cfg = Config.fromfile(root / 'configs/digits/ssd_hardnet_digits.py')
    cfg.merge_from_dict(
        {
            'train_dataloader.dataset.data_root': f'{digits}/',
            'train_dataloader.batch_size': 4,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_cfg.max_epochs': 1,
            'custom_hooks': [
                dict(type='ChannelsLastHook'),
                dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.1),
            ],
            'experiment_name': tmp_path.name,
            'work_dir': str(tmp_path),
            'randomness': dict(seed=0),
        }
    )
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg[key] = None
    for key in ('test_cfg', 'test_dataloader', 'test_evaluator'):
        cfg[key] = None
    return cfg


def run(cfg):
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        runner = Runner.from_cfg(cfg)
        runner.train()
    return runner


def test_save_and_resume(config, device, tmp_path):
    """Two epochs, and one that another goes on from, see the same learning rate and average."""
    first = run(config)
    assert next(first.model.parameters()).device.type == device.type
    saved = torch.load(tmp_path / 'epoch_1.pth', map_location='cpu', weights_only=False)
    assert {'state_dict', 'ema_state_dict', 'optimizer'} <= saved.keys()
    (average,) = [hook for hook in first.hooks if isinstance(hook, EMAHook)]
    own = dict(average.ema_model.named_parameters())
    assert all(value.device.type == device.type for value in own.values())

    config.merge_from_dict(
        dict(train_cfg=dict(max_epochs=2), resume=True, load_from=str(tmp_path / 'epoch_1.pth'))
    )
    second = run(config)
    assert second.iter == 2 * first.iter and second.epoch == 2
    states = [
        value
        for state in second.optim_wrapper.optimizer.state.values()
        for key, value in state.items()
        if key != 'step' and isinstance(value, torch.Tensor)
    ]
    assert states and all(value.device.type == device.type for value in states)
    # on the CPU again
    model = second.model.cpu()
    saved = torch.load(tmp_path / 'epoch_2.pth', map_location='cpu', weights_only=False)
    missing = model.load_state_dict(saved['state_dict'], strict=False)
    assert not missing.missing_keys
    assert all(value.isfinite().all() for value in saved['state_dict'].values())


def test_one_process_of_a_distributed_training(config, device, on_cuda, monkeypatch, tmp_path):
    """Synchronized norms, AMP, gradients by NCCL."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = dict(
        RANK=0, LOCAL_RANK=0, WORLD_SIZE=1, MASTER_ADDR='127.0.0.1', MASTER_PORT=port
    )
    for key, value in environment.items():
        monkeypatch.setenv(key, str(value))
    config.launcher = 'pytorch'
    config.env_cfg.dist_cfg = dict(backend='nccl')
    config.sync_bn = 'torch'
    config.optim_wrapper.type = 'AmpOptimWrapper'
    try:
        runner = run(config)
        assert is_distributed()
        network = runner.model.module
        kinds = {type(module) for module in network.modules()}
        assert torch.nn.SyncBatchNorm in kinds and torch.nn.BatchNorm2d not in kinds
        assert all(parameter.isfinite().all() for parameter in network.parameters())
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
