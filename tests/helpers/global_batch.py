"""What lets a run in several processes be compared with one: a hook for ``custom_hooks``."""

import time
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import all_reduce, get_rank, get_world_size, master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


@HOOKS.register_module()
class GlobalBatchHook(Hook):
    """Write what a run came to, ``found.pth``, with frozen norms and without dropout.

    Norms have the statistics of the first four images, since those of a batch are a process's own.
    The model is evaluated before it is trained, as all numbers of processes start from one model.
    """

    def __init__(self, folder):
        self.file = Path(folder, 'found.pth')
        self.losses = []

    def before_train_epoch(self, runner):
        self.model = getattr(runner.model, 'module', runner.model)
        for module in self.model.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = 1.0
            elif isinstance(module, _DropoutNd):
                module.p = 0.0
        dataset = runner.train_dataloader.dataset
        batch = pseudo_collate([dataset[i] for i in range(4)])
        with torch.no_grad():
            data = self.model.train().data_preprocessor(batch, True)
            self.model(**data, mode='tensor')
        self.start = self.weights()
        self.metrics = runner.val_loop.run()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for module in self.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = torch.tensor(float(outputs['loss']), dtype=torch.float64)
        all_reduce(loss)
        self.losses.append(loss.item() / get_world_size())

    @master_only
    def after_train(self, runner):
        found = dict(losses=self.losses, metrics=self.metrics)
        torch.save({**found, 'start': self.start, 'end': self.weights()}, self.file)

    def weights(self):
        return {key: value.clone() for key, value in self.model.named_parameters()}


@HOOKS.register_module()
class FaultHook(Hook):
    """Let the process of rank 1 fail, or hang, in the second iteration."""

    def __init__(self, hangs):
        self.hangs = hangs

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if get_rank() == 1 and batch_idx == 1:
            if self.hangs:
                time.sleep(3600)
            raise RuntimeError('this process fails on purpose')
