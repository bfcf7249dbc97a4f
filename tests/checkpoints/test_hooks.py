"""What a user may get wrong: each is told at once, or handled as mmdet handles it."""

import argparse
import copy
import logging

import pytest
import torch
from helpers.stand_in import fill_state_dict
from mmengine.model import BaseModel
from mmengine.optim import ConstantLR, OptimWrapper
from mmengine.runner import Runner
from torch import nn

from hardnet_mm import HarDNet
from hardnet_mm.checkpoints.hooks import CheckpointMatchHook, PartialCheckpointHook
from hardnet_mm.utils.errors import InputError


def test_a_checkpoint_of_another_model():
    runner = argparse.Namespace(model=HarDNet('hardnet39ds', out_indices=(1,)))
    right, other = (
        dict(state_dict=HarDNet(arch, out_indices=(1,)).state_dict())
        for arch in ('hardnet39ds', 'hardnet68ds')
    )
    hook = CheckpointMatchHook()
    hook.after_load_checkpoint(runner, right)
    with pytest.raises(ValueError, match=r'not one of this config: \d+ of .* stem.0.conv.weight'):
        hook.after_load_checkpoint(runner, other)


def test_the_shapes_in_checkpoint_and_model_are_told():
    runner = argparse.Namespace(model=nn.Linear(3, 4))
    with pytest.raises(
        InputError,
        match=r'weight is \(4, 5\) in the checkpoint and \(4, 3\) in the model; '
        r'bias \(4,\) is missing in the checkpoint$',
    ):
        CheckpointMatchHook().after_load_checkpoint(runner, dict(weight=torch.zeros(4, 5)))


def test_the_training_state_of_another_config(caplog):
    """Of other parameters it is refused; of another number of schedulers it is told."""
    model = nn.Conv2d(1, 1, 1)
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1))
    schedulers = [ConstantLR(optim_wrapper, by_epoch=False)]
    runner = argparse.Namespace(
        model=model,
        optim_wrapper=optim_wrapper,
        param_schedulers=schedulers,
        logger=logging.getLogger('test'),
    )
    state = dict(
        state_dict=model.state_dict(),
        meta=dict(epoch=1, iter=3),
        optimizer=optim_wrapper.state_dict(),
        param_schedulers=[scheduler.state_dict() for scheduler in schedulers],
        message_hub={},
    )
    hook = CheckpointMatchHook(resumes=True)
    hook.after_load_checkpoint(runner, state)
    assert not caplog.text
    hook.after_load_checkpoint(runner, {**state, 'param_schedulers': []})
    assert 'the state of 0 schedulers, and this config has 1' in caplog.text
    other = torch.optim.SGD([model.weight], 0.1).state_dict()
    with pytest.raises(InputError, match="of another optimizer's config"):
        hook.after_load_checkpoint(runner, {**state, 'optimizer': other})
    other = copy.deepcopy(optim_wrapper.state_dict())
    other['state'] = {0: dict(momentum_buffer=torch.zeros(1, 2))}
    with pytest.raises(InputError, match=r'momentum_buffer of weight is \(1, 2\), and the par'):
        hook.after_load_checkpoint(runner, {**state, 'optimizer': other})


class Classifier(BaseModel):
    def __init__(self):
        super().__init__()
        self.backbone = HarDNet('hardnet39ds', out_indices=(3,))
        self.head = nn.ModuleDict(dict(fc=nn.Linear(1024, 7), extra=nn.Linear(7, 7)))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.backbone(inputs)


def load_from(path, folder):
    """What a runner does with load_from, as tools/train.py sets it up."""
    runner = Runner(
        Classifier(),
        str(folder),
        load_from=str(path),
        experiment_name=folder.parent.name,
        cfg=dict(),
    )
    runner.register_hook(PartialCheckpointHook())
    runner.load_or_resume()
    (log,) = folder.rglob('*.log')
    logging.shutdown()
    return runner.model, log.read_text()


@pytest.mark.parametrize('bare', [False, True])
def test_what_is_loaded_to_fine_tune_is_told_in_a_line(golden, tmp_path, bare):
    state = fill_state_dict(golden('hardnet39ds_cls')['state_dict'])
    if bare:  # neither wrapped nor an original's
        state = {'old.weight': torch.zeros(1), **Classifier().state_dict()}
        state['head.fc.weight'] = state['head.fc.weight'][:3]
        del state['head.extra.weight'], state['head.extra.bias']
    torch.save(state, tmp_path / 'base.pth')
    model, log = load_from(tmp_path / 'base.pth', tmp_path / 'work')
    (line,) = [line for line in log.splitlines() if 'tensors are loaded' in line]
    total = len(Classifier().state_dict())
    if bare:
        assert line.endswith(
            f"{total - 3} of the model's {total} tensors are loaded; new: head.extra; "
            'new, since of another shape: head.fc.weight; not used: old'
        )
        return
    assert line.endswith(
        f"{total - 4} of the model's {total} tensors are loaded; new: head.extra; "
        'new, since of another shape: head.fc.bias, head.fc.weight'
    )
    assert 'do not match' not in log and 'missing keys' not in log
    assert torch.equal(model.backbone.stem[0].conv.weight, state['base.0.conv.weight'])


def test_a_checkpoint_with_nothing_for_the_model(tmp_path):
    torch.save(dict(state_dict={'other.weight': torch.zeros(1)}), tmp_path / 'other.pth')
    with pytest.raises(InputError, match=r"nothing for this model: .*'other.weight'.* 'backbone"):
        load_from(tmp_path / 'other.pth', tmp_path / 'work')
