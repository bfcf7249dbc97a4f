import pytest
from mmengine.config import Config
from mmengine.registry import TRANSFORMS

from hardnet_mm.swap.batches import TRIES, prepared


@TRANSFORMS.register_module()
class TakesEveryThird:
    def __init__(self, of=3):
        self.of, self.count = of, 0

    def __call__(self, results):
        self.count += 1
        return None if self.count % self.of else results


def batch(of):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='TakesEveryThird', of=of)]
    numbers = iter(range(10 * TRIES))
    cfg = Config(dict(train_dataloader=dict(dataset=dict(pipeline=pipeline))))
    return prepared(cfg, lambda: dict(number=next(numbers)), more=1)


def test_samples_that_the_pipeline_drops_are_drawn_again():
    assert batch(3) == dict(number=[2, 5], more=[1, 1])


def test_a_pipeline_that_drops_all_ends():
    with pytest.raises(RuntimeError, match=f'takes 1 of {TRIES} random samples'):
        batch(TRIES)
