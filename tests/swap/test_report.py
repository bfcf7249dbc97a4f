"""What the tool tells of a swap."""

from helpers.tiny_project import SCOPE
from mmengine.config import Config

from hardnet_mm.swap.backbone import plan_swap
from hardnet_mm.swap.report import changes, explain_failure, report, to_check, undecided


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
        'model.backbone: Pyramid -> HarDNet. Old outputs: 8, 16 channels at strides 4, 8, run on '
        'images of 256 x 256 (the default); HarDNet outputs: 96, 320 channels at strides 4, 8'
    )
    assert "model.head.in_channels: [8, 16] -> [96, 320]: reads the backbone's outputs" in lines
    assert "load_from: 'old.pth' -> None: has weights of the old backbone" in lines
    assert 'data_preprocessor.bgr_to_rgb: False -> True: the ImageNet weights expect RGB' in lines
    assert "custom_imports.imports: ['hardnet_mm']: registers HarDNet" in lines
    assert len(lines) == 7  # the mean and the deviation, too


def test_what_is_not_decided():
    text = told(undecided, config())
    assert 'model.backbone.drop_path_rate = 0.1: HarDNet has no such argument' in text
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
    assert 'AdamW with lr 0.0001, weight_decay 0.05 was chosen for Pyramid' in text
    assert 'frozen stages: the stem and 1 stage keep their ImageNet weights' in text
    assert 'norm: BN computes its statistics' in text
    assert 'initial weights' not in text
    text = told(to_check, cfg, pretrained=False)
    assert 'frozen stages: none' in text and 'initial weights: random' in text
    cfg.model.backbone.norm_eval = True
    assert 'norm: BN keeps the statistics of ImageNet' in told(to_check, cfg)
    cfg.model.backbone.in_channels = cfg.model.backbone.image_channels = 1
    assert 'random in the first layer' in told(to_check, cfg)


def test_the_report_has_three_parts():
    lines = told(report, config()).splitlines()
    titles = [line for line in lines if not line.startswith(' ')]
    assert titles == ['changed:', 'not decided:', 'to check in training:']


def test_a_failure_names_what_may_mean_the_old_channels():
    """In one line of bounded length, without what the swap changed: HarDNet has 320, too."""
    head = dict(type='H', in_channels=[16, 320], width_channels=16)
    backbone = dict(type='Pyramid', channels=(16, 320), strides=(4, 8))
    cfg = config(model=dict(backbone=backbone, head=head))
    plan = plan_swap(cfg, 'hardnet39ds')
    new = Config(dict(model=dict(head=dict(head, in_channels=[96, 320]))))
    words = explain_failure(plan, new, RuntimeError('one.\ntwo.'))
    assert words.startswith(
        'with HarDNet the model fails: RuntimeError: one. two. The old backbone'
    )
    assert 'still mean the old ones: model.head.width_channels = 16. With --no-trial' in words
    words = explain_failure(plan, new, RuntimeError('x' * 1000), ValueError())
    assert f'RuntimeError: {"x" * 300}... The old' in words and 'the reason: ValueError. W' in words
