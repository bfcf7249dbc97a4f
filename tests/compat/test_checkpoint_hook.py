"""What mmengine's hook leaves on the disk when a checkpoint cannot be saved."""

import errno

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.fileio import LocalBackend
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, mode):
        return dict(loss=self.weight.sum()) if mode == 'loss' else [{}]


class Rising(BaseMetric):
    """A score that is better after each epoch."""

    default_prefix, score = None, 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.score += 1
        return dict(score=self.score)


def train(folder, **checkpoint):
    loader = [dict(inputs=torch.ones(1))]
    hook = dict(type='CheckpointHook', interval=1, **checkpoint)
    Runner(
        Model(),
        str(folder),
        train_dataloader=torch.utils.data.DataLoader(loader),
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        val_dataloader=torch.utils.data.DataLoader(loader),
        val_cfg=dict(),
        val_evaluator=Evaluator(Rising()),
        default_hooks=dict(checkpoint=hook),
        experiment_name=str(folder),  # a message hub of its own
    ).train()


def checkpoints(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


BEST = dict(save_best='score', rule='greater')


@pytest.mark.parametrize(
    'settings, left',
    [
        (dict(max_keep_ckpts=1), ['epoch_3.pth']),
        (dict(max_keep_ckpts=2), ['epoch_2.pth', 'epoch_3.pth']),
        (dict(max_keep_ckpts=1, **BEST), ['best_score_epoch_3.pth', 'epoch_3.pth']),
    ],
    ids=str,
)
def test_old_checkpoints_are_removed(settings, left, tmp_path):
    train(tmp_path / 'work', **settings)
    assert checkpoints(tmp_path / 'work') == left


@pytest.mark.parametrize(
    'full_at, left',
    [
        ('epoch_3.pth', ['best_score_epoch_2.pth', 'epoch_2.pth']),
        ('best_score_epoch_3.pth', ['best_score_epoch_2.pth', 'epoch_3.pth']),
    ],
)
def test_a_full_disk_leaves_the_old_one(full_at, left, tmp_path, monkeypatch):
    put = LocalBackend.put.__wrapped__

    def put_or_fail(self, obj, filepath):
        if str(filepath).endswith(f'/{full_at}'):
            raise OSError(errno.ENOSPC, 'No space left on device')
        put(self, obj, filepath)

    monkeypatch.setattr(LocalBackend, 'put', put_or_fail)
    with pytest.raises(OSError, match='No space left'):
        train(tmp_path / 'work', max_keep_ckpts=1, **BEST)
    assert checkpoints(tmp_path / 'work') == left
