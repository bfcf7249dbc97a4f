import json
import math
import re
from copy import deepcopy

import cv2
import numpy as np
import pytest
import torch
from helpers.parity import assert_original_outputs, load_original
from helpers.stand_in import golden_input
from mmcv.transforms import Compose
from mmdet.registry import DATASETS, METRICS, MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask
from torch.utils._python_dispatch import TorchDispatchMode

from hardnet_mm.det import (
    CTColorJitter,
    CTFlipTTAModel,
    LoadOptionalMasks,
    RandomScaleShift,
    VisibleBoxes,
    centernet_targets,
)
from hardnet_mm.det.centernet_targets import dense_targets, gaussian_radius
from hardnet_mm.det.centernet_tta import SOFT_NMS
from hardnet_mm.utils.errors import InputError


@pytest.fixture(scope='module')
def detector(root, golden):
    """CenterNet-HarDNet85 with the stand-in weights of the golden outputs."""
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(root / 'configs/centernet_hardnet85_coco.py').model)
    return load_original(model, golden('centernet_hardnet85'))


@pytest.fixture
def small(root):
    """CenterNet on a small HarDNet of random weights."""
    torch.manual_seed(0)
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(root / 'configs/digits/centernet_hardnet_digits.py').model)
    model.init_weights()
    return model


def data_sample(boxes, labels, shape=(64, 64), **meta):
    instances = InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.tensor(labels))
    meta = dict(img_shape=shape, ori_shape=shape, scale_factor=(1, 1), img_id=0, **meta)
    return DetDataSample(gt_instances=instances, metainfo=meta)


def test_outputs_are_the_originals(detector, golden):
    expected = golden('centernet_hardnet85')
    assert sum(p.numel() for p in detector.parameters()) == expected['parameters']
    with torch.no_grad():
        features = detector.extract_feat(golden_input(*expected['input']))[0]
        head = detector.bbox_head
        got = dict(hm=head.heatmap_head(features), wh=head.wh_head(features))
    assert_original_outputs(got, expected, tolerance=1e-3)


def reference_decode(heatmap, size, offset, stride, count):
    """One image's boxes, best first: peaks of their 3x3 neighbourhood, one cell at a time."""
    found = []
    classes, height, width = heatmap.shape
    for c in range(classes):
        for y in range(height):
            for x in range(width):
                around = heatmap[c, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
                if heatmap[c, y, x] < around.max():
                    continue
                center_x, center_y = x + offset[0, y, x], y + offset[1, y, x]
                half_w, half_h = (max(float(side), 0) / 2 for side in size[:, y, x])
                box = center_x - half_w, center_y - half_h, center_x + half_w, center_y + half_h
                found.append((float(heatmap[c, y, x]), c, [float(v) * stride for v in box]))
    return sorted(found, key=lambda entry: -entry[0])[:count]


def test_decoding(small):
    torch.manual_seed(0)
    maps = torch.rand(1, 10, 16, 12), torch.rand(1, 2, 16, 12) * 9 - 1, torch.rand(1, 2, 16, 12)
    meta = dict(batch_input_shape=(64, 48), scale_factor=(0.5, 2.0))
    (found,) = small.bbox_head.predict_by_feat(*([m] for m in maps), batch_img_metas=[meta])
    wanted = reference_decode(*(m[0] for m in maps), stride=4, count=100)
    assert len(found) == 100
    np.testing.assert_allclose(found.scores, [score for score, _, _ in wanted], rtol=1e-6)
    assert found.labels.tolist() == [label for _, label, _ in wanted]
    boxes = np.array([box for _, _, box in wanted]) / [0.5, 2, 0.5, 2]  # in the original image
    np.testing.assert_allclose(found.bboxes, boxes, atol=1e-3)


def test_maps_in_any_layout_are_decoded(small):
    """A model laid out channels-last, as ChannelsLastHook does it, gives such maps."""
    torch.manual_seed(0)
    maps = torch.rand(2, 10, 6, 8), torch.rand(2, 2, 6, 8), torch.rand(2, 2, 6, 8)
    wanted = small.bbox_head.decode(*maps)
    found = small.bbox_head.decode(*(m.to(memory_format=torch.channels_last) for m in maps))
    for one, other in zip(found, wanted):
        assert torch.equal(one, other)


def reference_radius(height, width, overlap=0.7):
    """The smallest of the three cases, as the original program has them."""
    height, width = math.ceil(height), math.ceil(width)
    cases = (
        (1, height + width, width * height * (1 - overlap) / (1 + overlap)),
        (4, 2 * (height + width), (1 - overlap) * width * height),
        (4 * overlap, -2 * overlap * (height + width), (overlap - 1) * width * height),
    )
    return max(0, int(min((b + math.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in cases)))


def test_radius():
    sides = torch.rand(500, 2) * 128
    wanted = [reference_radius(height, width) for width, height in sides.tolist()]
    assert gaussian_radius(sides).tolist() == wanted
    assert max(wanted) > 20


def reference_targets(boxes, labels, num_classes, height, width):
    """A box and a cell at a time."""
    heatmap = np.zeros((num_classes, height, width))
    size, offset, weights = (
        np.zeros(shape) for shape in [(2, height, width)] * 2 + [(height, width)]
    )
    for (x1, y1, x2, y2), label in zip(boxes, labels):
        whole = x2 - x1, y2 - y1
        x1, x2 = (min(max(x, 0), width) for x in (x1, x2))
        y1, y2 = (min(max(y, 0), height) for y in (y1, y2))
        w, h = x2 - x1, y2 - y1
        if not all(s > 2 or s / (o + 0.01) > 0.5 for s, o in zip((w, h), whole)):
            continue
        center = (x1 + x2) / 2, (y1 + y2) / 2
        column, row = int(center[0]), int(center[1])
        radius = reference_radius(h, w)
        square = range(-radius, radius + 1)
        sigma = (2 * radius + 1) / 24
        total = sum(math.exp(-(i * i + j * j) / (2 * sigma**2)) for i in square for j in square)
        for i in square:
            for j in square:
                y, x = row + i, column + j
                if not (0 <= y < height and 0 <= x < width):
                    continue
                peak = math.exp(-(i * i + j * j) / (2 * ((2 * radius + 1) / 6) ** 2))
                heatmap[label, y, x] = max(heatmap[label, y, x], peak)
                weight = math.exp(-(i * i + j * j) / (2 * sigma**2)) / total
                if weight >= weights[y, x]:
                    weights[y, x] = weight
                    size[:, y, x] = w, h
                    offset[:, y, x] = center[0] - x, center[1] - y
    return heatmap, size, offset, weights


BOXES = {
    'apart': [[2.0, 3, 12, 14], [30, 30, 44, 38.5]],
    'overlapping': [[5.0, 5, 25, 25], [8, 7, 27, 24], [9, 9, 14, 22], [5, 5, 25, 25]],
    'tiny': [[7.2, 7.3, 7.9, 8.1], [20, 20, 20.02, 24]],
    'cut by the border': [[-8.0, -3, 6, 10], [40, 44, 60, 60], [-30, 5, 1, 15], [47, 10, 90, 20]],
    'larger than the map': [[-100.0, -90, 200, 190], [20, -500, 30, 500], [0, 0, 52, 48]],
    'outside': [[60.0, 60, 70, 70], [-20, -20, -5, -5]],
    'of no area': [[10.0, 10, 10, 20], [12, 12, 12, 12]],
    'none': [],
}


def random_boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * 60 - 8
    return torch.cat([low, low + torch.rand(count, 2, generator=generator) * 30], dim=1)


@pytest.mark.parametrize('kind', [*BOXES, *range(5)])
def test_targets(kind):
    height, width = 48, 52
    if isinstance(kind, int):
        boxes = random_boxes(20, kind)
    else:
        boxes = torch.tensor(BOXES[kind]).reshape(-1, 4)
    labels = torch.arange(len(boxes)) % 3
    got = [target[0] for target in dense_targets([boxes], [labels], 3, height, width)]
    wanted = reference_targets(boxes.tolist(), labels.tolist(), 3, height, width)
    counts = wanted[3] > 1e-12  # elsewhere size and offset do not matter
    np.testing.assert_allclose(got[0], wanted[0], atol=1e-6)
    np.testing.assert_allclose(got[3], wanted[3], atol=1e-6)
    for i in (1, 2):
        np.testing.assert_allclose(got[i][:, counts], wanted[i][:, counts], atol=1e-4)
    untouched = (wanted[1] == 0).all(axis=0)
    assert not got[1][:, untouched].any() and not got[2][:, untouched].any()
    if kind in ('outside', 'of no area', 'none'):
        assert all((target == 0).all() for target in got)


@pytest.mark.parametrize('pairs_at_once', [1, 700, 10**6])
def test_targets_of_a_batch_are_those_of_its_images(monkeypatch, pairs_at_once):
    """Bit for bit, however the pairs of boxes and cells are split."""
    boxes = [random_boxes(30, 0), torch.zeros(0, 4), random_boxes(1, 1), random_boxes(20, 2)]
    boxes[3] = torch.cat([boxes[3], boxes[3][:5]])  # equal weights, far from each other
    boxes[0][:, 2:] += 20
    labels = [torch.arange(len(each)) % 3 for each in boxes]
    alone = [dense_targets([b], [n], 3, 48, 52) for b, n in zip(boxes, labels)]
    monkeypatch.setattr(centernet_targets, 'PAIRS_AT_ONCE', pairs_at_once)
    for got, *wanted in zip(dense_targets(boxes, labels, 3, 48, 52), *alone):
        assert torch.equal(got, torch.cat(wanted))


class Watch(TorchDispatchMode):
    """Notes the largest tensor, and the operations that wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.largest, self.waits = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (list, tuple)) else [result]:
            if isinstance(tensor, torch.Tensor) and not func.is_view:
                self.largest = max(self.largest, tensor.numel())
        if func.overloadpacket.__name__ in ('_local_scalar_dense', 'nonzero', 'masked_select'):
            self.waits.append(func)
        return result


def test_memory_of_targets_is_that_of_the_maps(monkeypatch):
    """Not of boxes times cells, nor of the cells that all squares cover."""
    monkeypatch.setattr(centernet_targets, 'PAIRS_AT_ONCE', 2000)
    boxes = random_boxes(5000, 0) * 2
    with Watch() as watch:
        targets = dense_targets([boxes], [torch.arange(5000) % 2], 2, 96, 96)
    assert ((2 * gaussian_radius(boxes[:, 2:] - boxes[:, :2]) + 1) ** 2).sum() > 500_000
    assert watch.largest == 96 * 96 * 4  # size and centre of each cell
    assert not watch.waits
    assert targets[0].eq(1).sum() > 1000


@pytest.mark.parametrize('label', [3, -1])
def test_targets_of_an_unknown_class(label):
    labels = [torch.tensor([0]), torch.tensor([1, label])]
    boxes = [random_boxes(1, 0), random_boxes(2, 0)]
    with pytest.raises(ValueError, match=f'labels must be 0 to 2, got {label}: bbox_head'):
        dense_targets(boxes, labels, 3, 48, 52)


def test_losses_are_the_originals(small):
    """Sums over the batch, divided by the number of centres and by the sum of the weights."""
    torch.manual_seed(0)
    samples = [
        data_sample([[4.0, 4, 30, 40], [20, 10, 60, 50]], [1, 3], batch_input_shape=(64, 64)),
        data_sample([], [], batch_input_shape=(64, 64)),
    ]
    maps = torch.rand(2, 10, 16, 16), torch.rand(2, 2, 16, 16), torch.rand(2, 2, 16, 16)
    losses = small.bbox_head.loss_by_feat(
        *([m] for m in maps),
        [s.gt_instances for s in samples],
        [s.metainfo for s in samples],
    )
    boxes = [s.gt_instances.bboxes / 4 for s in samples]
    labels = [s.gt_instances.labels for s in samples]
    heat, size, offset, weight = dense_targets(boxes, labels, 10, 16, 16)
    weight = weight[:, None].expand_as(size)
    for name, got, want, share in (
        ('wh', maps[1], size, 0.05),
        ('offset', maps[2], offset, 0.5),
    ):
        wanted = share * ((got - want).abs() * weight).sum() / weight.sum()
        torch.testing.assert_close(losses[f'loss_{name}'], wanted, rtol=1e-3, atol=0)
    score = maps[0]
    at_centers = (1 - score) ** 2 * score.log() * heat.eq(1)
    elsewhere = score**2 * (1 - score).log() * (1 - heat) ** 4 * heat.lt(1)
    wanted = -(at_centers + elsewhere).sum() / 2
    torch.testing.assert_close(losses['loss_center_heatmap'], wanted)


def test_losses_are_finite_in_half_precision(small):
    sample = data_sample([[4.0, 4, 30, 40]], [1], batch_input_shape=(64, 64))
    heatmap = torch.zeros(1, 10, 16, 16, dtype=torch.float16)
    heatmap[:, :, ::2] = 1
    maps = heatmap, torch.rand(1, 2, 16, 16), torch.rand(1, 2, 16, 16)
    losses = small.bbox_head.loss_by_feat(
        *([m] for m in maps), [sample.gt_instances], [sample.metainfo]
    )
    assert all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize('boxes', [[[4.0, 4, 30, 40]], [], [[80.0, 80, 90, 90]]])
def test_trains(small, boxes):
    """Whatever the boxes, every parameter gets a finite gradient."""
    sample = data_sample(boxes, [1] * len(boxes))
    data = small.data_preprocessor(
        dict(inputs=[torch.zeros(3, 64, 64, dtype=torch.uint8)] * 2, data_samples=[sample] * 2),
        training=True,
    )
    losses = small(**data, mode='loss')
    sum(losses.values()).backward()
    for name, parameter in small.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize('size', [(64, 64), (101, 75), (77, 130)])
def test_predicts_at_any_size(small, size):
    small.eval()
    torch.nn.init.zeros_(small.bbox_head.wh_head[-1].weight)  # untrained offsets lead anywhere
    inputs = [torch.randint(0, 255, (3, *size), dtype=torch.uint8)] * 2
    samples = [data_sample([], [], size) for _ in inputs]
    with torch.no_grad():
        results = small.test_step(dict(inputs=inputs, data_samples=samples))
    assert [len(r.pred_instances) for r in results] == [100, 100]
    height, width = size
    boxes = results[0].pred_instances.bboxes
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert (centers >= 0).all() and (centers <= torch.tensor([width, height])).all()


def test_cells_lie_on_every_fourth_pixel(small):
    """At sizes that 4 does not divide, too: what is learned for a box decodes to that box."""
    box = [[60.0, 40, 100, 74]]
    height, width = 77, 101
    shape = (1, 10, -(-height // 4), -(-width // 4))
    targets, _ = small.bbox_head.get_targets(
        [torch.tensor(box)], [torch.tensor([2])], shape, (height, width)
    )
    maps = [targets[f'{n}_target'] for n in ('center_heatmap', 'wh', 'offset')]
    meta = dict(batch_input_shape=(height, width), scale_factor=(1.0, 1.0))
    (found,) = small.bbox_head.predict_by_feat(*([m] for m in maps), batch_img_metas=[meta])
    assert (found.scores[0], found.labels[0]) == (1, 2)
    torch.testing.assert_close(found.bboxes[:1], torch.tensor(box))


def test_flip_averages_the_maps(small):
    """A mirrored image gives the mirrored boxes; the average of both is symmetric."""
    small.eval()
    for branch in (small.bbox_head.heatmap_head, small.bbox_head.wh_head):
        torch.nn.init.normal_(branch[-1].weight, std=1e-4)  # untrained features are large
    image = torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8)
    flip = dict(flip=True, flip_direction='horizontal')
    model = CTFlipTTAModel(module=small)

    def predict(image):
        inputs = [[image.flip(-1)], [image]]
        samples = [[data_sample([], [], **flip)], [data_sample([], [], flip=False)]]
        with torch.no_grad():
            (result,) = model.test_step(dict(inputs=inputs, data_samples=samples))
        return result.pred_instances

    found, mirrored = predict(image), predict(image.flip(-1))
    torch.testing.assert_close(found.scores, mirrored.scores)
    boxes = mirrored.bboxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1]) + torch.tensor(
        [64, 0, 64, 0]
    )
    # Near scores may change places.
    apart = (found.bboxes[:20, None] - boxes).abs().amax(dim=2)
    assert apart.min(dim=1).values.max() < 1e-3
    with pytest.raises(ValueError, match='different sizes'):
        samples = [[data_sample([], [], shape=(64, 60), **flip)]]
        model.test_step(dict(inputs=[[image]], data_samples=samples))
    with pytest.raises(ValueError, match='vertical'):
        flip['flip_direction'] = 'vertical'
        predict(image)


def test_neck_and_head_refuse_what_does_not_fit(small):
    maps = [torch.zeros(1, c, s, s) for c, s in zip(small.neck.in_channels, (16, 8, 4))]
    (out,) = small.neck(maps)
    assert out.shape == (1, small.neck.out_channels, 16, 16)
    for few in (maps[:2], ()):
        with pytest.raises(ValueError, match=r'in_channels are .* but .* have'):
            small.neck(few)
    with pytest.raises(ValueError, match='smaller with depth'):
        small.neck([maps[0], torch.zeros(1, maps[1].shape[1], 20, 20), maps[2]])
    with pytest.raises(ValueError, match='smaller with depth'):
        small.neck([torch.zeros(1, m.shape[1], 1, 1) for m in maps])
    with pytest.raises(ValueError, match="head's in_channels is 90"):
        small.bbox_head([torch.zeros(1, 30, 16, 16)])
    cfg = dict(type='CTHarDNetNeck', in_channels=(8, 8), projection_channels=(8, 8))
    with pytest.raises(ValueError, match='projection_channels must have 3'):
        MODELS.build(
            dict(cfg, growth_rates=(8,) * 3, num_layers=(4,) * 3, shortcut_channels=(0, 0))
        )


def drawn(size, boxes):
    """An image with filled rectangles, and its annotations as a pipeline has them."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    masks = []
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        mask = np.zeros((height, width), np.uint8)
        mask[y1:y2, x1:x2] = 1
        image[mask > 0] = 255 - i
        masks.append(mask)
    return dict(
        img=image,
        img_shape=(height, width),
        gt_bboxes=HorizontalBoxes(torch.tensor(boxes).float()),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.zeros(len(boxes), bool),
        gt_masks=BitmapMasks(masks, height, width),
    )


@pytest.mark.parametrize('size', [(300, 200), (200, 300), (250, 250)])
def test_scale_and_shift_move_everything_alike(size):
    np.random.seed(0)
    short_sides, ratios = set(), []
    for _ in range(30):
        results = drawn(size, [[60, 50, 130, 110]])
        results = RandomScaleShift((256, 256))(results)
        assert results['img'].shape == (256, 256, 3)
        assert results['img_shape'] == results['gt_masks'].masks.shape[1:] == (256, 256)
        box = results['gt_bboxes'].tensor[0]
        zoom_x, zoom_y = ((box[2] - box[0]) / 70).item(), ((box[3] - box[1]) / 60).item()
        short, long = (zoom_y, zoom_x) if size[0] >= size[1] else (zoom_x, zoom_y)
        short_sides.add(round(short * min(size)))
        ratios.append(long / short)
        inside = box.clone().clamp(0, 256)
        if (inside[2:] - inside[:2]).min() > 4:  # the rectangle is where its box is
            ys, xs = np.nonzero(results['img'][..., 0] > 128)
            seen = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            assert (seen - inside).abs().max() <= 4
            assert (results['gt_masks'].get_bboxes('hbox').tensor[0] - inside).abs().max() <= 4
    assert short_sides <= set(range(192, 897, 64)) and len(short_sides) > 5
    assert 0.4 <= min(ratios) < 0.7 and 1.3 < max(ratios) <= 1.6


def test_visible_boxes():
    boxes = [
        [10, 10, 60, 60],  # whole
        [-20, 100, 60, 160],  # cut: a quarter is gone
        [150, -2, 190, 40],  # hardly cut: clipped
        [-100, 20, 4, 40],  # a sliver
        [210, 210, 240, 240],  # outside
    ]
    results = drawn((200, 200), [[max(v, 0) for v in box] for box in boxes])
    results['gt_bboxes'] = HorizontalBoxes(torch.tensor(boxes).float())
    results['gt_masks'].masks[1][:, :20] = 0  # what is visible of it begins further right
    with_masks = VisibleBoxes()(results)
    assert with_masks['gt_bboxes'].tensor.tolist() == [
        [10, 10, 60, 60],
        [20, 100, 60, 160],
        [150, 0, 190, 40],
    ]
    assert with_masks['gt_bboxes_labels'].tolist() == [0, 1, 2]
    assert 'gt_masks' not in with_masks and len(with_masks['gt_ignore_flags']) == 3

    without = drawn((200, 200), boxes)
    without['gt_bboxes'] = HorizontalBoxes(torch.tensor(boxes).float())
    del without['gt_masks']
    assert VisibleBoxes()(without)['gt_bboxes'].tensor[1].tolist() == [0, 100, 60, 160]
    empty = drawn((200, 200), [[1, 1, 9, 9]])
    empty['gt_bboxes'] = empty['gt_bboxes'][:0]
    empty['gt_masks'] = empty['gt_masks'][:0]
    assert len(VisibleBoxes()(empty)['gt_bboxes']) == 0


def coco_file(folder, segmentations):
    """Write a COCO file of one image and, for each segmentation, a box from 60, 50 to 130, 110."""
    cv2.imwrite(str(folder / 'image.png'), np.zeros((200, 300, 3), np.uint8))
    annotations = [
        dict(id=i, image_id=1, category_id=1, bbox=[60, 50, 70, 60], area=4200, iscrowd=0, **mask)
        for i, mask in enumerate(segmentations, start=1)
    ]
    content = dict(
        images=[dict(id=1, file_name='image.png', width=300, height=200)],
        annotations=annotations,
        categories=[dict(id=1, name='thing')],
    )
    (folder / 'annotations.json').write_text(json.dumps(content))


@pytest.fixture(scope='module')
def training_data(root):
    return Config.fromfile(root / 'configs/centernet_hardnet85_coco.py').train_dataloader.dataset


def training_boxes(training_data, folder, seeds, **loading):
    """The boxes that COCO's config trains with, of some draws of its augmentation."""
    cfg = deepcopy(training_data)
    cfg.update(data_root=str(folder), ann_file='annotations.json', data_prefix=dict(img=''))
    cfg.update(metainfo=dict(classes=('thing',)))
    cfg.pipeline[1].update(loading)
    dataset = DATASETS.build(cfg)
    for seed in seeds:
        np.random.seed(seed)
        yield dataset[0]['data_samples'].gt_instances.bboxes.tensor


def encoded(mask, compressed):
    """A mask as COCO's RLE."""
    rle = coco_mask.encode(np.asfortranarray(mask))
    if compressed:
        return dict(size=rle['size'], counts=rle['counts'].decode())
    runs = np.flatnonzero(np.diff(np.pad(mask.T.ravel(), 1))).tolist()
    return dict(size=rle['size'], counts=np.diff([0, *runs, mask.size]).tolist())


@pytest.mark.parametrize('masks', [[{}, {}], [dict(segmentation=[])] * 2], ids=['no key', 'empty'])
def test_trains_on_boxes_without_masks(training_data, tmp_path, masks):
    """As if the pipeline did not ask for masks."""
    coco_file(tmp_path, masks)
    seeds = range(6)
    got = list(training_boxes(training_data, tmp_path, seeds))
    wanted = list(training_boxes(training_data, tmp_path, seeds, with_mask=False))
    assert all(torch.equal(a, b) for a, b in zip(got, wanted))
    assert sum(map(len, got)) > 5


def test_trains_on_boxes_some_of_which_have_masks(training_data, tmp_path):
    """A box with a mask shrinks to what is visible of it, another to its own part inside."""
    mask = np.zeros((200, 300), np.uint8)
    mask[60:100, 80:115] = 1  # within its box, so that a cut box tells where it came from
    polygon = [[80, 60, 114, 60, 114, 99, 80, 99]]
    without = {}, dict(segmentation=[]), dict(segmentation=[[60, 50, 130, 110]])
    masked = polygon, encoded(mask, True), encoded(mask, False)
    coco_file(tmp_path, [*without, *(dict(segmentation=each) for each in masked)])
    cut = 0
    for boxes, plain in zip(
        training_boxes(training_data, tmp_path, range(20)),
        training_boxes(training_data, tmp_path, range(20), with_mask=False),
    ):
        # Of a cut box that is small, none may be left of the mask, but all of the others are.
        assert len(plain) == 6 or len(plain) == 0
        assert len(boxes) in (len(plain), len(plain) // 2)
        assert torch.allclose(boxes[:3], plain[:3], atol=4)  # a mask's pixels, enlarged 4.5 times
        assert torch.equal(boxes[4:5], boxes[5:6])
        assert torch.allclose(boxes[3:4], boxes[4:5], atol=4)
        cut += len(boxes) == 6 and (boxes[3] - plain[3]).abs().max() > 8
    assert cut > 3


def test_a_giant_box_without_a_mask_is_loaded_within_its_image():
    """Beyond it, pycocotools would end the interpreter."""
    polygon = [[80, 60, 114, 60, 114, 99, 80, 99]]
    boxes = [dict(bbox=[-1e9, 20, 1e9, 1e9]), dict(bbox=[80, 60, 115, 100], mask=polygon)]
    for box in boxes:
        box.update(bbox_label=0, ignore_flag=0)
    results = dict(instances=boxes, ori_shape=(200, 300), img_path='a.png')
    loaded = LoadOptionalMasks()(deepcopy(results))['gt_masks'].masks
    assert loaded[0][20:].all() and not loaded[0][:20].any()
    for wrong in (polygon[0], 'abc', 5):
        boxes[1]['mask'] = wrong
        with pytest.raises(
            InputError, match='a.png: a segmentation .* must be a run-length code or'
        ):
            LoadOptionalMasks()(results)


def test_color_jitter_is_mild_and_random():
    np.random.seed(0)
    image = cv2.resize(np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 4 + 20, (32, 32))
    jittered = [CTColorJitter()(dict(img=image))['img'] for _ in range(50)]
    means = np.array([j.mean() for j in jittered])
    spread = np.array([j.std(axis=2).mean() for j in jittered])  # of a pixel's three colours
    assert spread.std() > 0.1
    assert means.std() > 5
    assert 0.3 * image.mean() < means.min() and means.max() < 1.7 * image.mean()
    assert jittered[0].dtype == np.float32 and jittered[0].shape == image.shape


def test_lighting_follows_the_colours_of_imagenet():
    """One shift of all pixels, along the principal components, of a tenth of their values."""
    np.random.seed(0)
    jitter = CTColorJitter()
    jitter.strength = 0
    image = np.full((2, 2, 3), 100, np.uint8)
    shifts = np.array([jitter(dict(img=image))['img'] - 100 for _ in range(4000)]) / 255
    assert np.ptp(shifts, axis=(1, 2)).max() < 1e-5
    wanted = jitter.eigenvectors @ np.diag((0.1 * jitter.eigenvalues) ** 2) @ jitter.eigenvectors.T
    np.testing.assert_allclose(np.cov(shifts[:, 0, 0].T), wanted, rtol=0.1)


def reference_soft_nms(boxes, scores, sigma=0.5, least=1e-3):
    """The original's (external/nms.pyx, method 2): one class, a box's last pixel counts."""
    left, kept = list(range(len(boxes))), []
    scores = scores.copy()
    while left:
        best = max(left, key=lambda i: scores[i])
        left.remove(best)
        kept.append((boxes[best], scores[best]))
        for i in left:
            wide = min(boxes[i][2], boxes[best][2]) - max(boxes[i][0], boxes[best][0]) + 1
            high = min(boxes[i][3], boxes[best][3]) - max(boxes[i][1], boxes[best][1]) + 1
            areas = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (boxes[i], boxes[best])]
            inside = max(wide, 0) * max(high, 0)
            scores[i] *= math.exp(-((inside / (sum(areas) - inside)) ** 2) / sigma)
        left = [i for i in left if scores[i] >= least]
    return kept


def test_boxes_of_several_scales_are_joined():
    """By class, the best 100 of an image; a single scale stays as it is."""
    rng = np.random.default_rng(0)
    results = []
    for _ in range(3):
        corner = rng.uniform(0, 40, (30, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(2, 30, (30, 2))], axis=1)
        results.append(
            InstanceData(
                bboxes=torch.tensor(boxes).float(),
                scores=torch.tensor(rng.uniform(0.01, 1, 30)).float(),
                labels=torch.tensor(rng.integers(0, 2, 30)),
            )
        )
    together = InstanceData.cat(results)
    wanted = []
    for label in (0, 1):
        of_class = together[together.labels == label]
        boxes = of_class.bboxes.numpy().astype(float)
        kept = reference_soft_nms(boxes, of_class.scores.numpy().astype(float))
        wanted += [(score, label, *box) for box, score in kept]
    wanted = np.array(sorted(wanted, key=lambda entry: -entry[0]))
    found = CTFlipTTAModel.join_scales(results, SOFT_NMS)
    assert SOFT_NMS.max_per_img == 100 and 40 < len(found) < 90
    assert found.labels.tolist() == wanted[:, 1].tolist()
    np.testing.assert_allclose(found.scores, wanted[:, 0], rtol=1e-3)
    np.testing.assert_allclose(found.bboxes, wanted[:, 2:], atol=1e-3)
    best = CTFlipTTAModel.join_scales(results, dict(SOFT_NMS, max_per_img=7))
    assert torch.equal(best.scores, found.scores[:7])
    (only,) = results[:1]
    assert torch.equal(CTFlipTTAModel.join_scales([only], None).scores, only.scores)


def reference_own_size(image, scale):
    """The original's canvas of an image at its own size (detectors/base_detector.py, keep_res)."""
    height, width = (int(side * scale) for side in image.shape[:2])
    canvas = np.zeros(((height | 31) + 1, (width | 31) + 1, 3), np.float32)
    resized = cv2.resize(image, (width, height)) if scale != 1 else image
    top, left = canvas.shape[0] // 2 - height // 2, canvas.shape[1] // 2 - width // 2
    canvas[top : top + height, left : left + width] = resized
    return canvas, (top, left)


def test_images_are_tested_at_their_own_size(root, tmp_path):
    """And at five scales, each with its mirror image."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(root / 'configs/centernet_hardnet85_keep-res_coco.py')
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    results = dict(img_path=str(tmp_path / 'image.png'), img_id=1, instances=[])
    packed = Compose(cfg.test_pipeline)(deepcopy(results))
    canvas, (top, left) = reference_own_size(image, 1)
    np.testing.assert_array_equal(packed['inputs'].permute(1, 2, 0), canvas)
    assert packed['data_samples'].border[[0, 2]].tolist() == [top, left]
    assert packed['data_samples'].img_shape == (64, 128)

    views = Compose(cfg.tta_pipeline)(deepcopy(results))
    seen = []
    for inputs, sample in zip(views['inputs'], views['data_samples']):
        scale = sample.scale_factor[0]
        canvas, _ = reference_own_size(image, scale)
        canvas = canvas[:, ::-1] if sample.flip else canvas
        np.testing.assert_allclose(inputs.permute(1, 2, 0), canvas, atol=1)  # of 8 bits
        seen.append((scale, sample.flip))
    assert sorted(seen) == [(s, f) for s in (0.5, 0.75, 1, 1.25, 1.5) for f in (False, True)]


def test_boxes_of_every_scale_lie_in_the_image(small, root, tmp_path):
    """The detections of a scale alone are those of its canvas, moved and scaled back."""
    small.eval()
    for branch in (small.bbox_head.heatmap_head, small.bbox_head.wh_head):
        torch.nn.init.normal_(branch[-1].weight, std=1e-4)  # untrained features are large
    cfg = Config.fromfile(root / 'configs/centernet_hardnet85_keep-res_coco.py')
    image = np.random.default_rng(0).integers(0, 256, (40, 72, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    results = dict(img_path=str(tmp_path / 'image.png'), img_id=1, instances=[])
    views = Compose(cfg.tta_pipeline)(results)
    model = CTFlipTTAModel(module=small)
    wanted = []
    for first in range(0, 10, 2):  # mirrored and upright
        pair = {key: [[value] for value in views[key][first : first + 2]] for key in views}
        with torch.no_grad():
            (alone,) = model.test_step(pair)
            maps = []
            for (inputs,), (sample,) in zip(pair['inputs'], pair['data_samples']):
                batch = small.data_preprocessor(dict(inputs=[inputs], data_samples=[sample]))
                levels = [m[0] for m in small.bbox_head(small.extract_feat(batch['inputs']))]
                if sample.flip:
                    levels = [level.flip(-1) for level in levels]
                    levels[2][:, 0] = 1 - levels[2][:, 0]
                maps.append(levels)
            boxes, scores, _ = small.bbox_head.decode(*(sum(m) / 2 for m in zip(*maps)))
        canvas, (top, left) = reference_own_size(image, sample.scale_factor[0])
        boxes = (boxes[0] - torch.tensor([left, top, left, top])) / sample.scale_factor[0]
        torch.testing.assert_close(alone.pred_instances.bboxes, boxes, rtol=0, atol=1e-2)
        torch.testing.assert_close(alone.pred_instances.scores, scores[0])
        wanted.append(alone.pred_instances)
    with torch.no_grad():
        (joined,) = model.test_step({key: [[value] for value in views[key]] for key in views})
    expected = CTFlipTTAModel.join_scales(wanted, SOFT_NMS)
    assert len(expected) == 100
    assert torch.equal(joined.pred_instances.bboxes, expected.bboxes)
    assert torch.equal(joined.pred_instances.scores, expected.scores)


@pytest.mark.parametrize('size, trained', [(608, 608), (416, 512)])
def test_other_sizes(root, size, trained):
    """608 has weights of its own, 416 those of 512."""
    cfg = Config.fromfile(root / f'configs/centernet_hardnet85_{size}_coco.py')
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['RandomScaleShift'].scale == (trained, trained)
    for pipeline in (cfg.val_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline):
        assert pipeline[1] == dict(type='Resize', scale=(size, size), keep_ratio=False)
    (resize,) = cfg.tta_pipeline[1].transforms[0]
    assert resize.scale == (size, size)


def test_voc_trains_without_masks(root):
    """At the original's size for Pascal VOC, on small and difficult objects, too."""
    cfg = Config.fromfile(root / 'configs/centernet_hardnet85_voc0712.py')
    kinds = [step.type for step in cfg.train_pipeline]
    assert kinds[:3] == ['LoadImageFromFile', 'LoadAnnotations', 'TrainIgnoredBoxes']
    assert 'LoadOptionalMasks' not in kinds
    datasets = cfg.train_dataloader.dataset.dataset.datasets
    assert all(dataset.pipeline == cfg.train_pipeline for dataset in datasets)
    assert not any(dataset.filter_cfg.get('bbox_min_size') for dataset in datasets)
    assert cfg.train_pipeline[4].scale == cfg.test_pipeline[1].scale == (384, 384)


def test_results_for_cocos_server(root, tmp_path):
    """By the options of docs/train_coco.md, of images without annotations."""
    init_default_scope('mmdet')
    names = ('person', 'bicycle')
    content = dict(
        images=[dict(id=7, file_name='image.png', width=100, height=60)],
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(names)],
    )
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'test2017').mkdir()
    annotations = 'annotations/image_info_test-dev2017.json'
    (tmp_path / annotations).write_text(json.dumps(content))
    cv2.imwrite(str(tmp_path / 'test2017/image.png'), np.zeros((60, 100, 3), np.uint8))
    page = (root / 'docs/train_coco.md').read_text()
    options = dict(re.findall(r'(test_(?:dataloader|evaluator)\.[\w.]+)=(\S+)', page))
    options = {key: value == 'True' or value for key, value in options.items()}
    assert len(options) == 5
    options['test_evaluator.ann_file'] = str(tmp_path / annotations)
    options['test_evaluator.outfile_prefix'] = str(tmp_path / 'results')
    cfg = Config.fromfile(root / 'configs/centernet_hardnet85_coco.py')
    cfg.merge_from_dict(options)
    dataset = dict(cfg.test_dataloader.dataset, data_root=str(tmp_path))
    dataset = DATASETS.build(dict(dataset, metainfo=dict(classes=names)))
    sample = dataset[0]['data_samples']
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[10.0, 20, 40, 55]]),
        scores=torch.tensor([0.5]),
        labels=torch.tensor([1]),
    )
    metric = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = dataset.metainfo
    metric.process({}, [sample.to_dict()])
    metric.evaluate(1)
    (found,) = json.loads((tmp_path / 'results.bbox.json').read_text())
    assert found == dict(image_id=7, category_id=2, bbox=[10, 20, 30, 35], score=0.5)
