from mmengine.config import Config

from hardnet_mm.swap.trial import random_batch


def test_self_supervision_has_views():
    batch = random_batch(Config(dict(default_scope='mmpretrain', model=dict())), views=2)
    assert [view.shape for view in batch['inputs']] == [(2, 3, 224, 224)] * 2
