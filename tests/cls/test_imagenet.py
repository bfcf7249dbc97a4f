import pytest
import torch
from helpers.parity import assert_original_outputs, load_original
from helpers.stand_in import golden_input
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from hardnet_mm.backbones.architectures import HEAD_DROPOUT


@pytest.mark.parametrize('name', HEAD_DROPOUT)
def test_logits_are_the_originals(name, golden, root):
    """The whole classifier, built from the config, in the original's weights."""
    expected = golden(f'{name}_cls')
    cfg = Config.fromfile(root / f'configs/{name}_imagenet.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = load_original(MODELS.build(cfg.model), expected)
    with torch.no_grad():
        logits = model(golden_input(*expected['input']), mode='tensor')
    expected['outputs'] = dict(logits=expected['outputs']['logits'])
    assert_original_outputs(dict(logits=logits), expected, tolerance=1e-4)
    assert model.head.dropout.p == HEAD_DROPOUT[name]
    dropout = [m.p for m in model.backbone.modules() if isinstance(m, torch.nn.Dropout)]
    assert dropout == ([0.1] if name == 'hardnet85' else [])


def test_recipe_is_the_originals(root):
    cfg = Config.fromfile(root / 'configs/hardnet68_imagenet.py')
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=6e-5
    )
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 256
    assert cfg.param_scheduler == dict(type='CosineAnnealingLR', T_max=150, by_epoch=True)
    assert cfg.train_cfg.max_epochs == 150
    assert cfg.default_hooks.checkpoint.save_best == 'accuracy/top1'
    names = [transform.type for transform in cfg.test_dataloader.dataset.pipeline]
    assert names == ['LoadImageFromFile', 'ResizeEdge', 'CenterCrop', 'PackInputs']
    assert cfg.data_preprocessor.to_rgb and cfg.data_preprocessor.mean == [123.675, 116.28, 103.53]


def test_the_classifier_starts_as_the_originals(root):
    """There Xavier's for whatever is named 'conv', PyTorch's own for the rest, and no bias."""
    cfg = Config.fromfile(root / 'configs/hardnet39ds_imagenet.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    model.init_weights()
    fc = model.head.fc
    assert fc.weight.abs().max() <= fc.in_features**-0.5
    assert fc.weight.std().item() == pytest.approx((3 * fc.in_features) ** -0.5, rel=0.01)
    assert not fc.bias.any()
    for conv in model.modules():
        if isinstance(conv, torch.nn.Conv2d) and conv.weight.numel() > 1000:
            fans = conv.weight[0].numel() + conv.weight[:, 0].numel()
            assert conv.weight.std().item() == pytest.approx((2 / fans) ** 0.5, rel=0.15)


def test_a_heads_dropout_is_a_number_or_a_variants():
    head = dict(type='DropoutLinearClsHead', num_classes=10, in_channels=4)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        assert MODELS.build(dict(head, dropout=0.3)).dropout.p == 0.3
        assert MODELS.build(dict(head, dropout='hardnet85')).dropout.p == 0.2
        with pytest.raises(ValueError, match=r"one of \['hardnet39ds', .* got 'hardnet86'"):
            MODELS.build(dict(head, dropout='hardnet86'))
