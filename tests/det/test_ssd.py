import math

import numpy as np
import pytest
import torch
from helpers.parity import assert_original_outputs, load_original
from helpers.stand_in import golden_input
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from hardnet_mm.det.ssd_head import rank_in_class
from hardnet_mm.det.transforms import SSDColorDistortion


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


def priors_by_the_book(cfg, size=512):
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
    wanted = priors_by_the_book(cfg)
    assert len(wanted) == 32_756
    torch.testing.assert_close(torch.cat([center, side], dim=1), wanted, rtol=1e-5, atol=1e-3)
    assert (side.max(), side.min()) == (512, pytest.approx(20.48 / math.sqrt(3)))


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


def test_color_distortion_never_swaps_channels():
    np.random.seed(0)
    distort = SSDColorDistortion(
        brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1), hue_delta=0
    )
    image = np.random.randint(0, 255, (4, 4, 3)).astype(np.uint8)
    for _ in range(20):
        out = distort(dict(img=image.copy()))['img']
        np.testing.assert_allclose(out, image, atol=1e-2)


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
