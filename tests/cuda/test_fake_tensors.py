"""Without a GPU: every tensor that a model makes is where its input is, and no step waits."""

import pytest
import torch
from helpers.fake_cuda import FakeCuda, needs_fake_cuda
from helpers.systems import build
from mmengine.registry import DefaultScope

from hardnet_mm.det import centernet_targets

pytestmark = needs_fake_cuda


@pytest.fixture
def step(monkeypatch):
    """Return a function that gives a system on the fake GPU, and its batch."""

    def make(name, mode='train', **options):
        model, cfg, batch = build(name, **options)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            data = model.data_preprocessor(batch, mode == 'train')
        fake = FakeCuda()
        model = fake.move(model).train(mode == 'train')
        inputs = fake.like(data['inputs'])
        return fake, model, dict(inputs=inputs, data_samples=fake.like(data['data_samples']))

    return make


def keep_known(monkeypatch):
    """Let CenterNet's targets know the sizes of squares, of which a GPU is asked once."""
    import numpy as np

    monkeypatch.setattr(
        centernet_targets,
        'known_numbers',
        lambda counts, labels: (np.full(len(counts), 9), np.zeros(len(counts), int)),
    )


def without_questions(head):
    """mmdet's L1 loss asks whether any weight is positive, which waits for the GPU."""
    from mmdet.models.losses import L1Loss
    from mmdet.models.losses.smooth_l1_loss import l1_loss

    class Unasking(L1Loss):
        def forward(self, pred, target, weight, avg_factor):
            return self.loss_weight * l1_loss(pred, target, weight, avg_factor=avg_factor)

    head.loss_wh, head.loss_offset = Unasking(), Unasking()


def without_accuracy(monkeypatch):
    """mmseg's measure of accuracy takes a mask as an index, which waits for the GPU."""
    from mmseg.models.decode_heads import decode_head

    monkeypatch.setattr(decode_head, 'accuracy', lambda scores, labels, **_: scores.sum())


RECOMPUTED = dict(model__backbone__memory_efficient=True)
WEIGHTED = dict(model__decode_head__loss_decode__class_weight=(1.0,) * 11)


# SSD's targets are mmdet's, whose assigner asks which priors are positive.
@pytest.mark.parametrize(
    'name, options',
    [
        ('depthwise', {}),
        ('depthwise', RECOMPUTED),
        ('centernet', {}),
        ('fchardnet', WEIGHTED),
        ('mseg', {}),
    ],
)
def test_losses(step, monkeypatch, name, options):
    fake, model, data = step(name, **options)
    if name == 'centernet':
        keep_known(monkeypatch)
        without_questions(model.bbox_head)
    if name in ('fchardnet', 'mseg'):
        without_accuracy(monkeypatch)
    with fake:
        losses = model(**data, mode='loss')
        assert losses
        for loss in losses.values():
            assert loss.device.type == 'cuda' and loss.shape == ()
    assert not fake.copies


def test_the_positives_of_ssd(step, monkeypatch):
    """mmdet counts them on the CPU."""
    from mmdet.models.dense_heads import SSDHead

    fake, model, _ = step('ssd')
    targets = fake.like([torch.zeros(2, 5, 4)])
    monkeypatch.setattr(SSDHead, 'get_targets', lambda *_: ([], [], targets, [], 7))
    with fake:
        *_, positives = model.bbox_head.get_targets()
        assert positives.device.type == 'cuda' and positives.dtype == torch.float32
    assert not fake.copies


def test_decoding(step):
    """What follows, the suppression of boxes, has sizes that depend on values."""
    fake, model, data = step('ssd', 'test')
    size = data['inputs'].shape[-2:]
    with fake, torch.no_grad():
        maps = model(data['inputs'], mode='tensor')
        model.bbox_head.inclusive_boxes = True
        priors = model.bbox_head.prior_generator  # mmdet keeps its priors on the CPU
        priors.base_anchors = fake.like(priors.base_anchors)
        decoded = model.bbox_head.decode(*maps, size)
        assert all(output.device.type == 'cuda' for output in decoded)
    # a prediction asks for the size of its last pixel
    assert [place.partition(':')[0] for place in fake.copies] == ['det/priors.py']


@pytest.mark.parametrize('name', ['depthwise', 'centernet'])
def test_predictions(step, name):
    fake, model, data = step(name, 'test')
    with fake, torch.no_grad():
        for sample in model(**data, mode='predict'):
            tensors = [t for t in found(sample) if isinstance(t, torch.Tensor)]
            assert tensors and all(t.device.type == 'cuda' for t in tensors)


def found(sample):
    if 'pred_instances' in sample:
        return sample.pred_instances.values()
    return [sample.pred_score, sample.pred_label]


def test_a_forgotten_device_raises():
    fake = FakeCuda()
    features = fake.like(torch.zeros(2, 3))
    with fake:
        with pytest.raises(RuntimeError, match='device'):
            features + torch.arange(3)
        with pytest.raises(RuntimeError):
            features[features > 0]
    with fake, pytest.raises(Exception, match='(?i)fake'):  # a tensor that is no buffer
        features + REAL
    assert not fake.copies


REAL = torch.zeros(3)
