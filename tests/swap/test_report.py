"""What the tool tells of a swap."""

import pytest
from helpers.tiny_project import SCOPE
from mmengine.config import Config

from hardnet_mm.swap.backbone import plan_swap
from hardnet_mm.swap.report import changes, report, to_check, undecided


def config(**settings):
    backbone = dict(
        type='Pyramid', channels=(8, 16), strides=(4, 8), drop_path_rate=0.1, frozen_stages=1,
        init_cfg=dict(type='Pretrained', checkpoint='old.pth'),
    )  # fmt: skip
    model = dict(type='M', backbone=backbone, head=dict(type='H', in_channels=[8, 16]))
    model.update(settings.pop('model', {}))
    return Config(dict(default_scope=SCOPE, model=model, **settings))


def told(part, cfg, **options):
    return '\n'.join(part(cfg, plan_swap(cfg, 'hardnet39ds', **options)))


def test_each_change_and_its_reason():
    cfg = config(
        load_from='old.pth', data_preprocessor=dict(mean=[0, 0, 0], std=[1, 1, 1], bgr_to_rgb=False)
    )
    lines = told(changes, cfg).splitlines()
    assert lines[0] == (
        'model.backbone: Pyramid -> HarDNet. The outputs were 8, 16 channels at strides 4, 8, '
        'seen in a run on images of 256 x 256 (the default), and are now 96, 320 channels at '
        'strides 4, 8'
    )
    assert "model.head.in_channels: [8, 16] -> [96, 320]: reads the backbone's outputs" in lines
    assert "load_from: 'old.pth' -> None: has weights of the old backbone" in lines
    assert 'data_preprocessor.bgr_to_rgb: False -> True: the ImageNet weights expect RGB' in lines
    assert "custom_imports.imports: ['hardnet_mm']: registers HarDNet" in lines
    assert len(lines) == 7  # the mean and the deviation, too


def test_what_is_not_decided():
    text = told(undecided, config())
    assert 'model.backbone.drop_path_rate = 0.1: left out, HarDNet has no such argument' in text
    assert 'model.backbone.frozen_stages' not in text
    assert 'there is no data_preprocessor' in text

    head = dict(type='H', feat_channels=16)
    text = told(undecided, config(model=dict(head=head, other_backbone=dict(type='B'))))
    assert 'nothing in M reads 8, 16 channels' in text
    assert 'model.head.feat_channels = 16: the channels of an output of the old' in text
    assert 'it must be 320' in text
    assert 'model.other_backbone: another backbone' in text


def test_what_to_check_in_training():
    optimizer = dict(type='AdamW', lr=1e-4, weight_decay=0.05)
    cfg = config(optim_wrapper=dict(optimizer=optimizer))
    text = told(to_check, cfg)
    assert (
        'learning rate: AdamW with lr 0.0001, weight_decay 0.05, as in the old config, where it '
        'was chosen for Pyramid; the best one for HarDNet may be another, and'
    ) in text
    assert 'the stem and the first stage keep the ImageNet weights (frozen_stages=1), as in' in text
    assert 'norm: BN computes mean and variance' in text
    assert 'initial weights' not in text
    text = told(to_check, cfg, pretrained=False)
    assert 'frozen stages: none' in text and 'initial weights: random' in text
    cfg.model.backbone.norm_eval = True
    assert 'norm: BN keeps the mean and variance from' in told(to_check, cfg)
    cfg.model.backbone.in_channels = cfg.model.backbone.image_channels = 1
    assert 'random in the first layer' in told(to_check, cfg)


def test_the_report_has_three_parts():
    lines = told(report, config()).splitlines()
    titles = [line for line in lines if not line.startswith(' ')]
    assert titles == ['changed:', 'not decided:', 'to check in training:']


def test_each_part_of_a_list_has_its_line():
    heads = [dict(type='H', in_channels=[8, 16], width=9), dict(type='G', in_channels=16)]
    lines = told(changes, config(model=dict(head=heads))).splitlines()
    assert "model.head.0.in_channels: [8, 16] -> [96, 320]: reads the backbone's outputs" in lines
    assert "model.head.1.in_channels: 16 -> 320: reads the backbone's outputs" in lines
    assert not any('width' in line for line in lines)


def test_what_a_prediction_decides():
    """Widths of heads that predict: a wrong one would have failed. Not those of auxiliary ones."""
    heads = dict(
        head=dict(type='H', in_channels=[8, 16], width_channels=16),
        auxiliary_head=dict(type='H', in_channels=8, width_channels=8),
    )
    cfg = config(model=heads)
    assert 'model.head.width_channels = 16: the channels of an output' in told(undecided, cfg)
    text = '\n'.join(report(cfg, plan_swap(cfg, 'hardnet39ds'), ran=True))
    assert 'model.head.width_channels' not in text
    assert 'model.auxiliary_head.width_channels = 8: the channels of an output' in text


@pytest.mark.parametrize(
    'norm, words',
    [
        ('BN', 'from the images of each GPU: with fewer'),
        ('SyncBN', 'from the images of all GPUs'),
        ('GN', 'from each image'),
    ],
)
def test_the_statistics_of_a_norm(norm, words):
    cfg = config()
    cfg.model.backbone.norm_cfg = dict(type=norm, **(dict(num_groups=2) if norm == 'GN' else {}))
    assert f'norm: {norm} computes mean and variance {words}' in told(to_check, cfg)


def test_what_is_said_of_imagenet_weights_is_of_a_swap_that_has_them():
    cfg = config()
    cfg.model.backbone.act_cfg = dict(type='Swish')
    text = told(undecided, cfg)
    assert 'which its weights were trained with' in text and 'no data_preprocessor' in text
    text = told(undecided, cfg, pretrained=False)
    assert 'keeps its own activation' in text and 'which its weights' not in text
    assert 'no data_preprocessor' not in text
