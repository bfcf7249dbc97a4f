"""A training step of two processes with an image each, beside one with both: a script for ranks.

rank_step.py WRAPPER SIZE SYSTEM...: ``ddp`` or ``fsdp``, ``small`` or ``published``, and names of
:mod:`helpers.systems`.
"""

import functools
import sys
from pathlib import Path

import torch
from torch import distributed

sys.path.insert(0, str(Path(__file__).parents[1]))

from mmengine.model import MMDistributedDataParallel
from mmengine.model.wrappers import MMFullyShardedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from torch.distributed.fsdp.wrap import size_based_auto_wrap_policy
from torch.nn.modules.batchnorm import _BatchNorm

from helpers import systems

RATE = 1e-4


def step(model, module, cfg, batch):
    """Train on a batch, with frozen norms, and return the loss."""
    for layer in module.train().modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=RATE))
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return model.train_step(batch, optimizer)['loss'].item()


def named(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def compare(wrapper, system, published):
    """Return the largest distance of a tensor's step from the whole batch's, a share of that."""
    rank = distributed.get_rank()
    whole, cfg, batch = systems.build(system, published)
    part, _, _ = systems.build(system, published)
    if cfg.default_scope == 'mmdet':  # so that the images have different numbers of positives
        sample = batch['data_samples'][1]
        sample.gt_instances = sample.gt_instances[-1:]
    start = named(whole)
    wanted = step(whole, whole, cfg, batch)
    of_rank = {key: value[rank : rank + 1] for key, value in batch.items()}
    if wrapper == 'ddp':
        model = MMDistributedDataParallel(part, broadcast_buffers=False)
    else:
        policy = functools.partial(size_based_auto_wrap_policy, min_num_params=1_000_000)
        model = MMFullyShardedDataParallel(
            part, auto_wrap_policy=policy, device_id=torch.device('cpu')
        )
    loss = torch.tensor(step(model, part, cfg, of_rank))
    distributed.all_reduce(loss)
    assert abs(loss / 2 - wanted) <= 1e-5 * abs(wanted), (loss / 2, wanted)
    if wrapper == 'ddp':
        return furthest(start, named(whole), named(part))
    held = sum(value.numel() for value in model.parameters())
    total = sum(value.numel() for value in start.values())
    assert held < 0.6 * total, (held, total)  # each process has its half
    with model.summon_full_params(model):
        return furthest(start, named(whole), named(part))


def furthest(start, wanted, found):
    found = {name.replace('_fsdp_wrapped_module.', ''): value for name, value in found.items()}
    assert found.keys() == wanted.keys()
    distances = {}
    for name, value in wanted.items():
        moved = (value - start[name]).norm() + 1e-6 * value.norm()  # rounding
        distances[name] = ((found[name] - value).norm() / moved).item()
    return max(distances.values())


def main(wrapper, published, *names):
    distributed.init_process_group('gloo')
    for name in names:
        print(wrapper, name, compare(wrapper, name, published == 'published'))


if __name__ == '__main__':
    main(*sys.argv[1:])
