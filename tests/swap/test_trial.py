import pytest
from mmengine.config import Config
from torch import nn

from hardnet_mm.swap.trial import (
    branches,
    clip_boxes,
    image_size,
    loss,
    predict_on_some_size,
    random_batch,
)
from hardnet_mm.utils.configs import build_model


def test_the_batch_is_of_the_models_toolbox():
    """mmdet3d's configs of nuImages have a detector of mmdet."""
    cfg = Config(dict(default_scope='mmpretrain', model=dict(_scope_='mmdet')))
    assert image_size(cfg) == (256, 256)
    assert len(random_batch(cfg)['data_samples'][0].gt_instances.bboxes)
    cfg.model.pop('_scope_')
    assert 'gt_label' in random_batch(cfg)['data_samples'][0]


def test_self_supervision_has_views():
    batch = random_batch(Config(dict(default_scope='mmpretrain', model=dict())), views=2)
    assert [view.shape for view in batch['inputs']] == [(2, 3, 224, 224)] * 2


def test_a_loss_of_scores_gets_scores():
    """As of classifiers that train on mixed images; without them there are labels alone."""
    soft = dict(type='CrossEntropyLoss', use_soft=True)
    model = dict(head=dict(num_classes=3, loss=soft))
    batch = random_batch(Config(dict(default_scope='mmpretrain', model=model)))
    assert [sample.gt_score.tolist() for sample in batch['data_samples']] == [[0, 1, 0]] * 2
    soft['use_soft'] = False
    batch = random_batch(Config(dict(default_scope='mmpretrain', model=model)))
    assert 'gt_score' not in batch['data_samples'][0]


@pytest.mark.parametrize(
    'scope, mean, backbone, channels',
    [
        ('mmpretrain', [33.0], dict(in_channels=1), 1),
        ('mmpretrain', [33.0], dict(), 3),
        ('mmseg', [0.0] * 6, dict(in_channels=3), 6),
    ],
)
def test_images_have_the_channels_of_the_config(scope, mean, backbone, channels):
    model = dict(backbone=backbone, data_preprocessor=dict(mean=mean))
    batch = random_batch(Config(dict(default_scope=scope, model=model)))
    assert [len(image) for image in batch['inputs']] == [channels] * 2


@pytest.mark.parametrize('on_images, training', [(True, True), (True, False), (False, True)])
def test_a_tracker_takes_a_video(on_images, training):
    """Of two frames, in prediction at the latest."""
    settings = dict(type='TrackDataPreprocessor', use_det_processor=on_images)
    cfg = Config(dict(default_scope='mmdet', model=dict(data_preprocessor=settings)))
    batch = random_batch(cfg, training=training)
    shape = (3, 256, 256) if on_images and training else (2, 3, 256, 256)
    assert batch['inputs'][0].shape == shape


@pytest.mark.parametrize('classes, label', [(1, 0), (80, 1)])
def test_a_detector_of_one_class_has_boxes_of_it(classes, label):
    model = dict(bbox_head=dict(num_classes=classes))
    batch = random_batch(Config(dict(default_scope='mmdet', model=model)))
    labels = [sample.gt_instances.labels for sample in batch['data_samples']]
    assert all((found == label).all() for found in labels)


def test_persons_to_tell_apart_come_in_pairs():
    settings = dict(type='mmdet.ReIDDataPreprocessor')
    model = dict(data_preprocessor=settings, head=dict(type='LinearReIDHead'))
    batch = random_batch(Config(dict(default_scope='mmdet', model=model)))
    assert [image.shape for image in batch['inputs']] == [(3, 256, 128)] * 4
    assert [sample.gt_label.label.item() for sample in batch['data_samples']] == [0, 0, 1, 1]


class OneSize(nn.Linear):
    """A model whose neck, say, takes one size."""

    def forward(self, images, mode):
        if images.shape[-2:] != (64, 96):
            raise RuntimeError(f'not on {images.shape[-2:]}')
        return images


def test_a_model_that_takes_the_configs_size_alone():
    model = OneSize(1, 1)
    resize = dict(type='Resize', scale=(96, 64))
    cfg = Config(dict(default_scope='nobodys', model=dict(backbone={}), train_pipeline=[resize]))
    assert predict_on_some_size(model, cfg, cfg.model.backbone).shape == (2, 3, 64, 96)
    resize['keep_ratio'] = True
    cfg = Config(dict(default_scope='nobodys', model=dict(backbone={}), train_pipeline=[resize]))
    with pytest.raises(RuntimeError, match='256, 256'):
        predict_on_some_size(model, cfg, cfg.model.backbone)


def test_images_are_as_large_as_a_part_of_the_model_needs():
    def size(head):
        model = dict(decode_head=dict(type=head))
        return image_size(Config(dict(default_scope='mmseg', model=model)))

    assert size('FCNHead') == (128, 128)
    assert size('LRASPPHead') == (400, 400)


def test_boxes_end_at_the_image():
    from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

    model = nn.Sequential(nn.Module())
    model[0].bbox_coder = DeltaXYWHBBoxCoder(clip_border=False)
    clip_boxes(model)
    assert model[0].bbox_coder.clip_border


def test_semi_supervision_has_branches():
    batch = random_batch(Config(dict(default_scope='mmdet', model=dict())))
    halves = branches(batch)
    assert set(halves['inputs']) == {'sup', 'unsup_teacher', 'unsup_student'}
    student, teacher = (halves['data_samples'][f'unsup_{who}'] for who in ('student', 'teacher'))
    assert student[0] is not teacher[0] and student[0].homography_matrix.trace() == 3


def test_a_classifier_that_mixes_images_trains_without_mixing():
    """As XCiT's: its labels become rows of integers, which only mixing makes a target of."""
    backbone = dict(type='HarDNet', arch='hardnet39ds', out_indices=(0,))
    head = dict(type='LinearClsHead', num_classes=3, in_channels=96)
    augments = dict(augments=dict(type='Mixup', alpha=1.0))
    settings = dict(to_onehot=True, num_classes=3, batch_augments=augments)
    model = dict(
        type='ImageClassifier', backbone=backbone, neck=dict(type='GlobalAveragePooling'),
        head=head, data_preprocessor=settings,
    )  # fmt: skip
    cfg = Config(dict(default_scope='mmpretrain', model=model))
    assert loss(build_model(cfg), cfg).isfinite()
