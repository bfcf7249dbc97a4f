"""What the user is told of a new model that fails."""

from helpers.tiny_project import SCOPE
from mmengine.config import Config

from hardnet_mm.swap.backbone import plan_swap
from hardnet_mm.swap.failures import explain_failure


def test_a_failure_names_what_may_mean_the_old_channels():
    """In one line of bounded length, without what the swap changed: HarDNet has 320, too."""
    head = dict(type='H', in_channels=[16, 320], width_channels=16)
    backbone = dict(type='Pyramid', channels=(16, 320), strides=(4, 8))
    cfg = Config(dict(default_scope=SCOPE, model=dict(type='M', backbone=backbone, head=head)))
    plan = plan_swap(cfg, 'hardnet39ds')
    new = Config(dict(model=dict(head=dict(head, in_channels=[96, 320]))))
    words = explain_failure(plan, new, RuntimeError('one.\ntwo.'))
    assert words.startswith(
        'with HarDNet the model fails: RuntimeError: one. two. The old backbone'
    )
    assert 'still mean the old ones: model.head.width_channels = 16. With --no-trial' in words
    words = explain_failure(plan, new, RuntimeError('x' * 1000), ValueError())
    assert (
        f'RuntimeError: {"x" * 300}... The old' in words
        and 'in another way: ValueError. W' in words
    )
