"""What the toolboxes' users know of ResNet's arguments holds of HarDNet's."""

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from torch.nn.modules.batchnorm import _BatchNorm

from hardnet_mm import HarDNet


def parts(backbone):
    """The stem and the four stages, by their modules."""
    if isinstance(backbone, HarDNet):
        return [backbone.stem, *backbone.stages]
    stem = torch.nn.ModuleList([backbone.conv1, backbone.norm1])
    return [stem, *(getattr(backbone, name) for name in backbone.res_layers)]


def norms(part):
    return [module for module in part.modules() if isinstance(module, _BatchNorm)]


def build(kind, **kwargs):
    if kind == 'ResNet':
        from mmdet.models.backbones import ResNet

        return ResNet(18, **{'norm_eval': False, **kwargs})
    return HarDNet('hardnet39ds', **kwargs)


def both(**kwargs):
    return [build(kind, **kwargs) for kind in ('ResNet', 'HarDNet')]


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 2, 4])
def test_frozen_stages(frozen_stages):
    learning = []
    for backbone in both(frozen_stages=frozen_stages):
        backbone.train()
        learning.append(
            [
                (
                    any(parameter.requires_grad for parameter in part.parameters()),
                    any(norm.training for norm in norms(part)),
                )
                for part in parts(backbone)
            ]
        )
    assert learning[0] == learning[1]
    assert learning[1] == [(False, False)] * (frozen_stages + 1) + [(True, True)] * (
        4 - frozen_stages
    )


def test_norm_eval():
    for backbone in both(norm_eval=True):
        backbone.train()
        assert not any(norm.training for part in parts(backbone) for norm in norms(part))
        assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_norms_without_gradient():
    for backbone in both(norm_cfg=dict(type='BN', requires_grad=False)):
        assert not any(p.requires_grad for norm in norms(backbone) for p in norm.parameters())


def test_sync_batch_norm():
    for backbone in both(norm_cfg=dict(type='SyncBN', requires_grad=True)):
        found = norms(backbone)
        assert found and all(isinstance(norm, torch.nn.SyncBatchNorm) for norm in found)
        backbone = revert_sync_batchnorm(backbone)
        assert not any(isinstance(m, torch.nn.SyncBatchNorm) for m in backbone.modules())
        backbone(torch.rand(2, 3, 64, 64))


def test_group_norm():
    for backbone in both(norm_cfg=dict(type='GN', num_groups=2, requires_grad=True)):
        assert not norms(backbone)
        sum(output.mean() for output in backbone(torch.rand(2, 3, 64, 64))).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())


@pytest.mark.parametrize('kind', ['ResNet', 'HarDNet'])
def test_with_cp(kind):
    torch.manual_seed(0)
    image = torch.rand(2, 3, 64, 64, requires_grad=True)
    plain, saving = build(kind), build(kind, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    gradients = []
    for backbone in (plain, saving):
        backbone.train()
        sum(output.square().mean() for output in backbone(image)).backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    'backbone, channels',
    [
        (dict(type='ResNet', depth=50), 2048),
        (dict(type='HarDNet', arch='hardnet39ds', out_indices=(3,)), 1024),
    ],
)
def test_layer_wise_learning_rates(backbone, channels):
    """mmpretrain's: each depth learns half as fast as the one after it."""
    init_default_scope('mmpretrain')
    from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
    from mmpretrain.registry import MODELS

    head = dict(type='LinearClsHead', num_classes=2, in_channels=channels)
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=backbone,
            neck=dict(type='GlobalAveragePooling'),
            head=head,
        )
    )
    wrapper = LearningRateDecayOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1)),
        dict(layer_decay_rate=0.5),
    )(model)
    rates = {group['param_name']: group['lr'] for group in wrapper.optimizer.param_groups}
    names = list(rates)
    assert rates['head.fc.weight'] == 1.0 == max(rates.values())
    in_order = [rates[name] for name in names if name.startswith('backbone.')]
    assert in_order == sorted(in_order)
    assert in_order[0] < 0.1 and in_order[-1] == 0.5
    assert len(rates) == len(list(model.parameters()))


def test_layer_wise_learning_rates_of_the_others():
    """mmdet's and mmseg's know ConvNeXt alone: they refuse either backbone alike."""
    from mmdet.engine.optimizers import LearningRateDecayOptimizerConstructor

    for backbone in both():
        model = torch.nn.ModuleDict(dict(backbone=backbone))
        constructor = LearningRateDecayOptimizerConstructor(
            dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1)),
            dict(decay_rate=0.5, decay_type='layer_wise', num_layers=6),
        )
        with pytest.raises(NotImplementedError):
            constructor(model)
