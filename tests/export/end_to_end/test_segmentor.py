"""Maps of the images' own size, windows, and thresholds."""

import copy

import pytest
import torch
from helpers.exported import (
    assert_exports,
    changed,
    deployed,
    filled,
    in_pytorch,
    item,
    items,
    predictions,
    random_images,
)

from hardnet_mm.export.compare import compare
from hardnet_mm.utils.configs import build_model


@pytest.mark.parametrize('own', [(200, 128), (75, 301)])
def test_a_stretched_image_gets_its_own_map(models, tmp_path, own):
    """By height and width apart, and of exactly its size."""
    model, cfg = models('fchardnet70')
    images = random_images(2, (64, 96))
    runtime = assert_exports(model, cfg, tmp_path / 'model.onnx', images, own)
    assert runtime(images.numpy())['labels'].shape == (2, *own)


def test_images_of_another_ratio_are_told(models):
    model, cfg = models('fchardnet70')
    end_to_end = deployed(model)
    first, same, other = (
        item(cfg, random_images(1, size)[0], own)['data_samples']
        for size, own in (
            ((64, 85), (375, 500)),
            ((64, 85), (375, 500)),
            ((64, 85), (480, 640)),
        )
    )
    end_to_end.tested_as(first)
    assert [end_to_end.resizes_otherwise(sample) for sample in (first, same, other)] == [0, 0, 1]


@pytest.mark.slow
def test_sliding_windows_are_inside(models, tmp_path):
    model, cfg = changed(
        models,
        'fchardnet70',
        model__test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(40, 40)),
    )
    images = random_images(2, (96, 104))  # four windows, of which those below are moved up
    assert_exports(model, cfg, tmp_path / 'model.onnx', images, (120, 130))
    assert not deployed(model).any_size
    end_to_end = deployed(model)
    model.test_cfg.mode = 'whole'
    (difference,) = [compare(end_to_end, in_pytorch(end_to_end), model, items(cfg, images[:1])[0])]
    assert difference.distances['labels, share'] > 0.01  # so that the above says something


def test_a_single_channel_and_its_threshold_are_inside(models, tmp_path):
    threshold = dict(num_classes=2, out_channels=1, threshold=0.4)
    threshold['loss_decode'] = dict(type='CrossEntropyLoss', use_sigmoid=True)
    _, cfg = models('fchardnet70')
    cfg = copy.deepcopy(cfg)
    del cfg.model.decode_head.loss_decode
    cfg.model.decode_head.update(threshold)
    model = filled(build_model(cfg))
    images = random_images(2)
    with torch.no_grad():  # scores on both sides of it
        head = model.decode_head.conv_seg
        logits = deployed(model).raw(images)[0]
        head.weight.data /= logits.std()
        head.bias.data = (head.bias - logits.mean()) / logits.std()
    labels = predictions(model, items(cfg, images))[0].pred_sem_seg.data
    assert 0.1 < labels.float().mean() < 0.9
    assert_exports(model, cfg, tmp_path / 'model.onnx', images, (100, 150))
