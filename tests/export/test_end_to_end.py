"""An end-to-end model predicts as the model, whatever its config asks for, or refuses at once."""

import copy

import pytest
import torch
from helpers.exported import (
    MODELS,
    assert_equal,
    deployed,
    filled,
    in_pytorch,
    item,
    items,
    predictions,
    random_images,
    skip_without,
)
from mmengine.config import Config

from hardnet_mm import HarDNet
from hardnet_mm.export.compare import compare
from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.export.end_to_end.nms import NonMaxSuppression
from hardnet_mm.export.formats import load
from hardnet_mm.export.writing import export
from hardnet_mm.utils.configs import build_model, read_config


def assert_predicts_as(model, found, batch):
    for entry in batch:
        assert_equal(compare(*found, model, entry))


def changed(models, name, **options):
    """The digits model of a config with other settings."""
    _, cfg = models(name)
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    return filled(build_model(cfg)), cfg


def assert_exports(model, cfg, path, images, own=None):
    """In PyTorch, decided in it and after it, and as an ONNX file."""
    batch = [item(cfg, image, own) for image in images]
    for inside in ('nms', 'decode', 'network'):
        end_to_end = deployed(model, inside)
        end_to_end.tested_as(batch[0]['data_samples'])
        assert_predicts_as(model, (end_to_end, in_pytorch(end_to_end)), batch)
    end_to_end = deployed(model)
    end_to_end.tested_as(batch[0]['data_samples'])
    skip_without('onnx')
    export(end_to_end, images[:1], path, 'onnx')
    assert_predicts_as(model, (end_to_end, load(path)), batch)
    return load(path)


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('inside', ['nms', 'decode', 'network'])
def test_a_whole_model_predicts_as_the_model(models, name, inside):
    model, cfg = models(name)
    end_to_end = deployed(model, inside)
    assert_predicts_as(model, (end_to_end, in_pytorch(end_to_end)), items(cfg, random_images(2)))


@pytest.mark.parametrize(
    'decision', [dict(), dict(thr=0.3), dict(topk=3), dict(thr=0.6, topk=2)], ids=str
)
@pytest.mark.parametrize('kind', ['MultiLabelLinearClsHead', 'CSRAClsHead'])
def test_multi_label_classifiers(models, tmp_path, kind, decision):
    _, cfg = models('hardnet39ds')
    cfg = copy.deepcopy(cfg)
    cfg.model.head = dict(type=kind, num_classes=10, in_channels=1024, **decision)
    if kind == 'CSRAClsHead':
        cfg.model.head.update(num_heads=2, lam=0.1)
        cfg.model.neck = None
    model = filled(build_model(cfg))
    batch = items(cfg, random_images(3))
    end_to_end = deployed(model)
    runtime = in_pytorch(end_to_end)
    if not decision:
        skip_without('onnx')
        export(end_to_end, random_images(), tmp_path / 'model.onnx', 'onnx')
        runtime = load(tmp_path / 'model.onnx')
    wanted = predictions(model, batch)
    numbers = {len(sample.pred_label) for sample in wanted}
    assert numbers != {1}  # a single label would hide a mistake
    for entry, prediction in zip(batch, wanted):
        assert_equal(compare(end_to_end, runtime, model, entry))
        outputs = runtime(entry['inputs'][None].float().numpy())
        (found,) = build_end_to_end(model).attach(outputs, [entry['data_samples'].clone()])
        assert sorted(found.pred_label.tolist()) == sorted(prediction.pred_label.tolist())


def test_a_head_that_decides_in_its_own_way_is_refused(models):
    model, _ = models('hardnet39ds')
    model = copy.deepcopy(model)
    plain = model.head._get_predictions
    model.head._get_predictions = lambda logits, samples: plain(2 * logits, samples)
    with pytest.raises(ValueError, match='DropoutLinearClsHead cannot be exported: its scores'):
        build_end_to_end(model)


@pytest.mark.parametrize('own', [(96, 96), (200, 128), (75, 301)])
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


def test_sliding_windows_are_inside(models, tmp_path):
    model, cfg = changed(
        models,
        'fchardnet70',
        model__test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(40, 40)),
    )
    images = random_images(2, (96, 128))
    assert_exports(model, cfg, tmp_path / 'model.onnx', images, (120, 160))
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


@pytest.mark.parametrize(
    'options',
    [
        dict(nms_pre=20),
        dict(max_per_class=2),
        dict(nms=dict(iou_threshold=0.2, split_thr=50)),
        dict(score_thr=0.1, max_per_img=7),
    ],
    ids=str,
)
@pytest.mark.parametrize('clip', [True, False])
def test_settings_of_ssd_are_inside(models, tmp_path, options, clip):
    test_cfg = {f'model__test_cfg__{key}': value for key, value in options.items()}
    model, cfg = changed(
        models, 'ssd_hardnet', model__bbox_head__bbox_coder__clip_border=clip, **test_cfg
    )
    assert_exports(model, cfg, tmp_path / 'model.onnx', random_images(2), (100, 150))


def test_ssd_settings_that_no_file_holds(models):
    model, _ = models('ssd_hardnet')
    for settings, message in [
        (dict(nms=dict(type='soft_nms')), "nms.type is 'soft_nms'.*model.test_cfg.nms.type=nms"),
        (dict(nms=None), 'nms.type is None'),
        (dict(nms=dict(class_agnostic=True)), r"without \['class_agnostic'\]"),
        (dict(nms=dict(max_num=5)), r"without \['max_num'\]"),
        (dict(min_bbox_size=4), 'min_bbox_size is 4 .*min_bbox_size=0'),
        (dict(score_thr=-1), 'score_thr must be at least 0'),
    ]:
        other = copy.deepcopy(model)
        if settings.get('nms', None):
            settings = dict(nms={**other.bbox_head.test_cfg.nms, **settings['nms']})
        other.bbox_head.test_cfg.update(settings)
        with pytest.raises(ValueError, match=message):
            build_end_to_end(other)


def test_a_border_is_taken_off(models):
    """Of mmdet's test pipeline of CenterNet, which puts the image on a larger canvas."""
    model, cfg = models('centernet_hardnet')
    entry = item(cfg, random_images()[0], (256, 64))
    entry['data_samples'].set_metainfo(dict(border=torch.tensor([11.0, 117, 7, 121]).numpy()))
    (wanted,) = predictions(model, [entry])
    end_to_end = deployed(model)
    assert_predicts_as(model, (end_to_end, in_pytorch(end_to_end)), [entry])
    outputs = in_pytorch(end_to_end)(entry['inputs'][None].float().numpy())
    (found,) = end_to_end.attach(outputs, [entry['data_samples'].clone()])
    some = wanted.pred_instances.scores > 0.02
    torch.testing.assert_close(
        found.pred_instances.bboxes[some], wanted.pred_instances.bboxes[some], rtol=0, atol=1e-2
    )


def test_a_preprocessor_that_pads_is_refused(models):
    model, cfg = models('centernet_hardnet')
    end_to_end = deployed(model)
    entry = item(cfg, random_images(1, (100, 96))[0])
    end_to_end.check_input(entry)
    end_to_end.model.data_preprocessor.pad_size_divisor = 32
    with pytest.raises(ValueError, match='pads an image of 100 x 96 to 128 x 96'):
        end_to_end.check_input(entry)
    end_to_end.check_input(item(cfg, random_images()[0]))
    end_to_end.std = 2 * end_to_end.std
    with pytest.raises(ValueError, match='DetDataPreprocessor, changes images otherwise'):
        end_to_end.check_input(item(cfg, random_images()[0]))


def test_suppression_is_by_class_and_image():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]]).expand(2, -1, -1)
    scores = torch.tensor([[[0.9, 0.8, 0.01], [0.1, 0.5, 0.3]], [[0.3, 0.6, 0.7], [0, 0, 0]]])
    kept = NonMaxSuppression.forward(None, boxes, scores, 1, 0.5, 0.05)
    assert kept.tolist() == [[0, 0, 0], [0, 1, 1], [1, 0, 2]]
    kept = NonMaxSuppression.forward(None, boxes, scores, 5, 0.5, 0.05)
    assert kept.tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 2], [1, 0, 2], [1, 0, 1]]


def test_other_models_are_refused():
    with pytest.raises(ValueError, match='HarDNet cannot be exported: allowed are'):
        build_end_to_end(HarDNet('hardnet39ds'))
    detector = build_model(read_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'))
    with pytest.raises(ValueError, match='RetinaNet cannot be exported'):
        build_end_to_end(detector)


@pytest.mark.parametrize('name', ['pspnet_hardnet68-d8', 'upernet_hardnet68'])
def test_pooling_to_any_size_exports(root, tmp_path, name):
    """PSPNet and UPerNet: in ONNX for other sizes of images, too."""
    skip_without('onnx')
    cfg = Config.fromfile(root / f'configs/toolbox_models/{name}_4xb4-80k_ade20k-512x512.py')
    model = filled(build_model(cfg))
    end_to_end = deployed(model)
    path = tmp_path / 'model.onnx'
    export(end_to_end, random_images(1, (64, 96)), path, 'onnx')
    for size in ((64, 96), (112, 65)):
        batch = items(cfg, random_images(1, size))
        assert_predicts_as(model, (end_to_end, load(path)), batch)
