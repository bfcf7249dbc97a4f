import json
import math
import warnings

import cv2
import numpy as np
import pytest
import torch
from helpers.parity import assert_original_outputs, load_original
from helpers.stand_in import golden_input
from mmdet.registry import DATASETS, MODELS, TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from hardnet_mm.det.ssd_head import rank_in_class


@pytest.fixture(scope='module')
def config(root):
    init_default_scope('mmdet')
    return Config.fromfile(root / 'configs/ssd512_hardnet68_coco.py')


@pytest.fixture(scope='module')
def detector(config, golden):
    """SSD512-HarDNet68 with the stand-in weights of the golden outputs."""
    return load_original(MODELS.build(config.model), golden('ssd512_hardnet68'))


def data_sample(boxes, labels, size=512):
    instances = InstanceData(bboxes=boxes, labels=labels)
    shape = (size, size)
    meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape, scale_factor=(1, 1), img_id=0)
    return DetDataSample(gt_instances=instances, metainfo=meta)


def flatten(outputs, width):
    """(1, priors, width) of a list of (1, priors a cell * width, H, W)."""
    return torch.cat([o.permute(0, 2, 3, 1).reshape(1, -1, width) for o in outputs], dim=1)


def test_parameters(detector, golden):
    count = sum(p.numel() for p in detector.parameters())
    assert count == golden('ssd512_hardnet68')['parameters']


def test_outputs_are_the_originals(detector, golden):
    expected = golden('ssd512_hardnet68')
    with torch.no_grad():
        scores, boxes = detector(golden_input(*expected['input']))
    # Ours has the background last.
    got = dict(loc=flatten(boxes, 4), conf=flatten(scores, 81).roll(1, dims=2))
    assert_original_outputs(got, expected, tolerance=1e-3)


def reference_priors(cfg, size=512):
    """Every prior, one at a time: centre, width and height in units of the image, sides to 1."""
    priors = []
    for small, larger, stride, ratios in zip(cfg.min_sizes, cfg.max_sizes, cfg.strides, cfg.ratios):
        small, large = small / size, math.sqrt(small * larger) / size
        shapes = [(small, small), (large, large)]
        for ratio in ratios:
            wide, narrow = small * math.sqrt(ratio), small / math.sqrt(ratio)
            shapes += [(wide, narrow), (narrow, wide)]
        cells = size // stride
        for row in range(cells):
            for column in range(cells):
                for width, height in shapes:
                    center = (column + 0.5) / cells, (row + 0.5) / cells
                    priors.append((*center, min(width, 1), min(height, 1)))
    return torch.tensor(priors) * size


def test_priors(config):
    cfg = config.model.bbox_head.anchor_generator
    generator = TASK_UTILS.build(cfg)
    sizes = [(512 // stride, 512 // stride) for stride in cfg.strides]
    priors = torch.cat(generator.grid_priors(sizes, device='cpu'))
    center, side = (priors[:, :2] + priors[:, 2:]) / 2, priors[:, 2:] - priors[:, :2]
    wanted = reference_priors(cfg)
    assert len(wanted) == 32_756
    torch.testing.assert_close(torch.cat([center, side], dim=1), wanted, rtol=1e-5, atol=1e-3)
    assert (side.max(), side.min()) == (512, pytest.approx(20.48 / math.sqrt(3)))


def test_boxes_are_decoded_as_the_originals(detector, config):
    """By its variances (utils/box_utils.py, decode), and to their last pixel's end."""
    maps = random_maps(detector.bbox_head, 512)
    found, _ = detector.bbox_head.decode(*maps, (512, 512))
    deltas = flatten(maps[1], 4)[0]
    priors = reference_priors(config.model.bbox_head.anchor_generator)
    center = priors[:, :2] + deltas[:, :2] * 0.1 * priors[:, 2:]
    sides = priors[:, 2:] * (deltas[:, 2:] * 0.2).exp()
    wanted = torch.cat([center - sides / 2, center + sides / 2 + 1], dim=1)
    torch.testing.assert_close(found[0], wanted, rtol=1e-5, atol=1e-2)


def test_predicts(detector):
    """mmdet's own SSDHead fails here."""
    with torch.no_grad():
        results = detector.predict(
            torch.randn(1, 3, 512, 512) * 50, [data_sample(torch.zeros(0, 4), torch.zeros(0))]
        )
    found = results[0].pred_instances
    assert 0 < len(found) <= 200
    assert found.labels.bincount().max() <= 50
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_at_most_so_many_of_a_class(detector):
    head = detector.bbox_head
    count = 120
    corner = torch.arange(count).float()[:, None] * 4  # apart from one another
    results = InstanceData(
        bboxes=torch.cat([corner, corner, corner + 2, corner + 2], dim=1),
        scores=torch.linspace(0.9, 0.1, count),
        labels=torch.arange(count) % 2,
    )
    cfg = Config(dict(nms=dict(type='nms', iou_threshold=0.45), max_per_img=80, max_per_class=30))
    kept = head._bbox_post_process(results, cfg)
    assert kept.labels.bincount().tolist() == [30, 30]
    torch.testing.assert_close(kept.scores, torch.linspace(0.9, 0.1, count)[:60])
    cfg = Config(dict(nms=dict(type='nms', iou_threshold=0.45), max_per_img=80))
    assert len(head._bbox_post_process(results, cfg)) == 80


def test_rank_in_class():
    labels = torch.tensor([3, 0, 3, 3, 0, 7])
    assert rank_in_class(labels).tolist() == [0, 0, 1, 2, 1, 0]
    assert rank_in_class(labels[:0]).tolist() == []


@pytest.fixture(scope='module')
def small_detector(root):
    init_default_scope('mmdet')
    config = Config.fromfile(root / 'configs/digits/ssd_hardnet_digits.py')
    torch.manual_seed(0)
    model = MODELS.build(config.model).train()
    model.init_weights()
    return model


def total_loss(model, samples, size):
    image = torch.randn(len(samples), 3, size, size)
    losses = model.loss(image, samples)
    return model.parse_losses(losses)[0]


def test_images_without_boxes_train(small_detector):
    size = small_detector.bbox_head.prior_generator.input_size
    empty = data_sample(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), size)
    filled = data_sample(torch.tensor([[20.0, 20, 60, 60]]), torch.tensor([3]), size)
    loss = total_loss(small_detector, [empty, filled], size)
    loss.backward()
    assert loss.isfinite() and loss > 0
    assert total_loss(small_detector, [empty, empty], size) == 0


def reference_nms(boxes, scores, threshold):
    """The original's: a box's last pixel counts (utils/nms, nms_kernel.cu)."""
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order, kept = np.argsort(-scores, kind='stable'), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        wide = np.minimum(x2[best], x2[order]) - np.maximum(x1[best], x1[order]) + 1
        high = np.minimum(y2[best], y2[order]) - np.maximum(y1[best], y1[order]) + 1
        inside = wide.clip(0) * high.clip(0)
        order = order[inside / (areas[best] + areas[order] - inside) <= threshold]
    return kept


def random_maps(head, size, seed=0):
    """Logits and deltas of one image, as the head returns them."""
    torch.manual_seed(seed)
    sides = [size // stride for stride, _ in head.prior_generator.strides]
    counts = head.num_base_priors
    logits = [torch.randn(1, n * head.cls_out_channels, s, s) * 2 for n, s in zip(counts, sides)]
    deltas = [torch.randn(1, n * 4, s, s) for n, s in zip(counts, sides)]
    return logits, deltas


@pytest.fixture
def inclusive(small_detector, monkeypatch):
    monkeypatch.setattr(small_detector.bbox_head, 'inclusive_boxes', True)
    return small_detector


def test_boxes_end_after_their_last_pixel(inclusive):
    """Boxes, scores and labels are the original's, in pixels of the image before it was resized."""
    head, size, own = inclusive.bbox_head, 128, (20, 30)  # height and width: a pixel is 6 by 4
    maps = random_maps(head, size)
    meta = dict(img_shape=(size, size), ori_shape=own, scale_factor=(size / own[1], size / own[0]))
    (found,) = head.predict_by_feat(*maps, batch_img_metas=[meta], rescale=True)

    sides = [level.shape[-2:] for level in maps[0]]
    priors = torch.cat(head.prior_generator.grid_priors(sides, device='cpu'))
    boxes = head.bbox_coder.decode(priors, flatten(maps[1], 4)[0]).numpy()
    boxes = boxes / size * [own[1], own[0], own[1], own[0]]
    scores = flatten(maps[0], head.cls_out_channels)[0].softmax(dim=1).numpy()
    wanted = []
    for label in range(head.num_classes):
        of_class = np.flatnonzero(scores[:, label] > head.test_cfg.score_thr)
        kept = of_class[reference_nms(boxes[of_class], scores[of_class, label], 0.45)][:50]
        for index in kept:
            x1, y1, x2, y2 = boxes[index]  # as COCO's results have it
            wanted.append((scores[index, label], label, x1, y1, x2 - x1 + 1, y2 - y1 + 1))
    wanted = np.array(sorted(wanted, reverse=True))[: head.test_cfg.max_per_img]
    corner, sides = found.bboxes[:, :2], found.bboxes[:, 2:] - found.bboxes[:, :2]
    got = torch.cat([found.scores[:, None], found.labels[:, None], corner, sides], dim=1)
    assert len(wanted) > 100
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-3)


def test_boxes_end_after_their_last_pixel_in_the_mirror_too(inclusive):
    """What test-time augmentation merges is a pixel larger, on the right side of either."""
    from mmdet.models import DetTTAModel

    nms = dict(type='nms', iou_threshold=1.0)
    model = DetTTAModel(module=inclusive, tta_cfg=Config(dict(nms=nms, max_per_img=10_000)))
    head, own = inclusive.bbox_head, (64, 96)
    maps = random_maps(head, 128)
    meta = dict(img_shape=(128, 128), ori_shape=own, scale_factor=(128 / 96, 2.0))
    cfg = Config(dict(head.test_cfg, nms=nms, max_per_class=10_000, max_per_img=10_000))
    for flip, wanted in ((False, [0, 0, 1, 1]), (True, [-1, 0, 0, 1])):
        views = []
        for head.inclusive_boxes in (False, True):
            (found,) = head.predict_by_feat(*maps, batch_img_metas=[meta], cfg=cfg, rescale=True)
            sample = DetDataSample(
                pred_instances=found,
                metainfo=dict(meta, flip=flip, flip_direction='horizontal' if flip else None),
            )
            (merged,) = model.merge_preds([[sample]])
            views.append(merged.pred_instances)
        assert torch.equal(views[0].scores, views[1].scores)
        moved = views[1].bboxes - views[0].bboxes
        torch.testing.assert_close(
            moved, torch.tensor(wanted).expand_as(moved).float(), atol=1e-3, rtol=0
        )


def test_a_pipeline_and_a_head_that_disagree_are_told(small_detector, monkeypatch):
    size = small_detector.bbox_head.prior_generator.input_size
    sample = data_sample(torch.tensor([[20.0, 20, 60, 60]]), torch.tensor([3]), size)
    sample.set_metainfo(dict(inclusive_boxes=True))
    with pytest.raises(ValueError, match='inclusive_boxes is False: set it to True, or take'):
        total_loss(small_detector, [sample], size)
    monkeypatch.setattr(small_detector.bbox_head, 'inclusive_boxes', True)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        total_loss(small_detector, [sample], size)
    sample.set_metainfo(dict(inclusive_boxes=False))
    with pytest.warns(UserWarning, match='a pixel too large. Put'):
        total_loss(small_detector, [sample], size)


def test_cocos_config_trains_and_predicts_one_kind_of_boxes(config, root):
    """The switch is on for COCO, in the pipeline and in the head, and off for Pascal VOC."""
    for name in ('ssd512_hardnet68_coco', 'ssd512_hardnet85_coco', 'ssd512_hardnet68_voc0712'):
        cfg = Config.fromfile(root / f'configs/{name}.py')
        inclusive = cfg.model.bbox_head.get('inclusive_boxes', False)
        kinds = [transform.type for transform in cfg.train_pipeline]
        assert inclusive == ('InclusiveBoxes' in kinds) == ('coco' in name)


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(min_sizes=[20.0, 50.0]), ['min_sizes', 'one value a level', '2, 7 and 7']),
        (dict(input_size=0), ['positive']),
    ],
)
def test_bad_priors(config, change, words):
    with pytest.raises(ValueError) as raised:
        TASK_UTILS.build({**config.model.bbox_head.anchor_generator, **change})
    for word in words:
        assert word in str(raised.value)


def initial_layers(model):
    """A name and a convolution each of what follows the backbone."""
    for part, modules in (('neck', model.neck), ('head', model.bbox_head)):
        for name, module in modules.named_modules():
            if isinstance(module, torch.nn.Conv2d):
                yield f'{part}.{name}', module


def test_initial_weights_are_the_originals(root):
    """PyTorch's own, uniform to 1 / sqrt(inputs); He-normal by outputs in the bridge; no bias."""
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(root / 'configs/digits/ssd_hardnet_digits.py').model)
    for _, layer in initial_layers(model):
        layer.weight.data.zero_()
    torch.manual_seed(0)
    model.neck.init_weights()
    model.bbox_head.init_weights()
    seen = 0
    for name, layer in initial_layers(model):
        assert layer.bias is None or not layer.bias.any(), name
        if layer.weight.numel() < 2000:
            continue
        outputs, inputs, height, width = layer.weight.shape
        std, largest = layer.weight.std().item(), layer.weight.abs().max().item()
        if 'bridge' in name:
            assert std == pytest.approx(math.sqrt(2 / (outputs * height * width)), rel=0.05), name
            assert largest > 3 * std, name
        else:
            limit = 1 / math.sqrt(inputs * height * width)
            assert largest <= limit and std == pytest.approx(limit / math.sqrt(3), rel=0.05), name
        seen += 1
    assert seen > 6
    assert (model.neck.l2_norm.weight == 20).all()


def voc_file(folder, objects):
    """Pascal VOC's files of one image and of boxes, each with its ``difficult`` mark."""
    for name in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (folder / 'VOC2007' / name).mkdir(parents=True)
    cv2.imwrite(str(folder / 'VOC2007/JPEGImages/000001.jpg'), np.zeros((60, 80, 3), np.uint8))
    (folder / 'VOC2007/ImageSets/Main/trainval.txt').write_text('000001\n')
    boxes = ''.join(
        f'<object><name>cat</name><difficult>{difficult}</difficult><bndbox>'
        + ''.join(f'<{side}>{value}</{side}>' for side, value in zip(SIDES, box))
        + '</bndbox></object>'
        for box, difficult in objects
    )
    size = '<size><width>80</width><height>60</height><depth>3</depth></size>'
    (folder / 'VOC2007/Annotations/000001.xml').write_text(
        f'<annotation>{size}{boxes}</annotation>'
    )


SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


def test_small_and_difficult_objects_of_voc_train(root, tmp_path):
    """And end at their last pixel, counted from 0, as the original has them (data/voc0712.py)."""
    init_default_scope('mmdet')
    objects = [((5, 7, 70, 50), 0), ((10, 10, 15, 19), 0), ((20, 20, 60, 58), 1)]
    voc_file(tmp_path, objects)
    cfg = Config.fromfile(root / 'configs/ssd512_hardnet68_voc0712.py')
    train = cfg.train_dataloader.dataset.dataset.datasets[0]
    train.data_root = str(tmp_path)
    train.pipeline = [*train.pipeline[:3], dict(type='PackDetInputs')]
    sample = DATASETS.build(train)[0]['data_samples']
    wanted = [[side - 1 for side in box] for box, _ in objects]
    assert sample.gt_instances.bboxes.tensor.tolist() == wanted
    assert len(sample.ignored_instances.bboxes) == 0
    assert 'TrainIgnoredBoxes' not in str(cfg.test_dataloader)  # it would change the measure


def test_crowd_regions_of_coco_train(root, tmp_path):
    """Beside images without boxes, which the original keeps; small boxes of SSD's COCO as well."""
    init_default_scope('mmdet')
    boxes = [([5, 6, 40, 30], 0), ([10, 12, 60, 40], 1), ([1, 2, 3, 4], 0)]
    annotations = [
        dict(id=i, image_id=1, category_id=1, bbox=box, area=99, iscrowd=crowd)
        for i, (box, crowd) in enumerate(boxes, 1)
    ]
    images = [dict(id=i, file_name='image.png', width=100, height=80) for i in (1, 2)]
    categories = [dict(id=1, name='person')]
    content = dict(images=images, annotations=annotations, categories=categories)
    (tmp_path / 'annotations.json').write_text(json.dumps(content))
    cv2.imwrite(str(tmp_path / 'image.png'), np.zeros((80, 100, 3), np.uint8))
    for name, steps in (('ssd512_hardnet68_coco', 4), ('centernet_hardnet85_coco', 3)):
        train = Config.fromfile(root / f'configs/{name}.py').train_dataloader.dataset
        train.update(data_root=str(tmp_path), ann_file='annotations.json')
        train.data_prefix = dict(img='')
        train.pipeline = [*train.pipeline[:steps], dict(type='PackDetInputs')]
        dataset = DATASETS.build(train)
        assert len(dataset) == 2
        sample = dataset[0]['data_samples']
        last = 1 if name.startswith('ssd') else 0
        wanted = [[x, y, x + w - last, y + h - last] for (x, y, w, h), _ in boxes]
        assert sample.gt_instances.bboxes.tensor.tolist() == wanted
        assert len(sample.ignored_instances.bboxes) == 0


@pytest.mark.parametrize(
    'name, side', [('ssd512_hardnet68_coco', 16), ('rfb512_hardnet68_coco', 8)]
)
def test_a_map_too_small_for_the_last_levels(root, name, side):
    """On one of 17 pixels, all levels have an output."""
    cfg = Config.fromfile(root / f'configs/{name}.py')
    neck = MODELS.build(cfg.model.neck).eval()
    first, second = cfg.model.neck.in_channels
    inputs = torch.rand(1, first, 64, 64), torch.rand(1, second, side, 40)
    with pytest.raises(ValueError, match=f'at least {neck.smallest_map} x'):
        neck(inputs)
    larger = torch.rand(1, second, 17, 40)
    assert len(neck((inputs[0], larger))) == len(cfg.model.neck.out_channels)
