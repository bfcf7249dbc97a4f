"""The boxes and the augmentation of the original SSD program."""

import math

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms.utils import cache_random_params
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config
from mmengine.registry import init_default_scope

from hardnet_mm.det.transforms import (
    AugmentOrKeep,
    InclusiveBoxes,
    SSDColorDistortion,
    SSDCrop,
    SSDExpand,
    TrainIgnoredBoxes,
)


def loaded(boxes, size=(100, 200), image=None):
    """What loading leaves of an image of height and width, and of its boxes."""
    image = np.zeros((*size, 3), np.uint8) if image is None else image
    count = len(boxes)
    return dict(
        img=image,
        img_shape=image.shape[:2],
        gt_bboxes=HorizontalBoxes(torch.tensor(boxes).reshape(-1, 4).float()),
        gt_bboxes_labels=np.arange(count),
        gt_ignore_flags=np.arange(count) % 2 == 1,
    )


def reference_inclusive(x, y, w, h, width, height):
    """A COCO box as the original reads it (data/coco.py)."""
    x1, y1 = max(0, x), max(0, y)
    x2 = min(width - 1, x1 + max(0, w - 1))
    y2 = min(height - 1, y1 + max(0, h - 1))
    return [x1, y1, x2, y2]


def test_boxes_end_at_their_last_pixel():
    coco = [
        [10, 20, 30, 40],
        [0.5, 1.25, 1, 0.5],
        [150, 60, 50, 40],
        [-2, -3, 30, 20],
        [199, 99, 9, 9],
    ]
    results = loaded([[x, y, x + w, y + h] for x, y, w, h in coco])
    got = InclusiveBoxes()(results)
    wanted = torch.tensor([reference_inclusive(*box, 200, 100) for box in coco]).float()
    torch.testing.assert_close(got['gt_bboxes'].tensor, wanted)
    assert got['inclusive_boxes'] is True


def test_ignored_boxes_train():
    flags = TrainIgnoredBoxes()(loaded([[0, 0, 5, 5]] * 4))['gt_ignore_flags']
    assert flags.dtype == bool and not flags.any() and len(flags) == 4


def drawn(count, seed, draw):
    """Many draws, an array."""
    np.random.seed(seed)
    return np.array([draw() for _ in range(count)])


def reference_stretched(scale, low, high):
    """Sides by a scale, as the original draws them (data/data_augment.py)."""
    square = scale * scale
    ratio = math.sqrt(np.random.uniform(max(0.5, low(square)), min(2, high(square))))
    return scale * ratio, scale / ratio


def assert_alike(got, wanted):
    """Two samples of one law: means and quantiles, by the standard error of the larger spread."""
    error = 5 * wanted.std(axis=0) / math.sqrt(min(len(got), len(wanted)))
    assert (np.abs(got.mean(axis=0) - wanted.mean(axis=0)) < error).all()
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        gap = np.abs(np.quantile(got, share, axis=0) - np.quantile(wanted, share, axis=0))
        assert (gap < 4 * error).all(), share


def test_canvas_is_stretched():
    """By up to the square root of 2 a side, never smaller than the image, which lies anywhere."""
    expand = SSDExpand(mean=(104, 117, 123), prob=1)
    image = np.full((10, 20, 3), 255, np.uint8)

    def ours():
        results = expand(loaded([[2, 3, 8, 9]], image=image))
        height, width = results['img_shape']
        x, y = (results['gt_bboxes'].tensor[0, :2] - torch.tensor([2, 3])).int().tolist()
        assert (results['img'][y : y + 10, x : x + 20] == 255).all()
        if (height, width) != (10, 20):
            assert results['img'].reshape(-1, 3).min(axis=0).tolist() == [104, 117, 123]
        free = max(width - 20, 1), max(height - 10, 1)
        return width / 20, height / 10, x / free[0], y / free[1]

    def originals():
        wide, high = reference_stretched(
            np.random.uniform(1, 4), lambda square: 1 / square, lambda square: square
        )
        width, height = int(wide * 20), int(high * 10)
        x, y = np.random.randint(width - 20 + 1), np.random.randint(height - 10 + 1)
        return width / 20, height / 10, x / max(width - 20, 1), y / max(height - 10, 1)

    got, wanted = drawn(400, 0, ours), drawn(4000, 1, originals)
    assert_alike(got, wanted)
    aspects = got[:, 0] / got[:, 1]
    assert 0.45 < aspects.min() < 0.6 and 1.7 < aspects.max() < 2.2
    assert (got[:, :2] >= 1).all()


def test_six_of_ten_images_are_expanded():
    expand = SSDExpand(mean=(0, 0, 0))
    sizes = drawn(300, 0, lambda: expand(loaded([[2, 3, 8, 9]], (50, 50)))['img_shape'][0])
    assert 0.51 < (sizes != 50).mean() < 0.69


def test_crop_is_the_originals():
    """Its sides, what it keeps, and how often there is none."""
    assert SSDCrop().modes == (None, 0.1, 0.3, 0.5, 0.7, 0.9, -math.inf)
    crop = SSDCrop((0.1, 0.3))  # the others are rarely reached
    boxes = [[20, 10, 120, 80], [60, 5, 180, 90], [30, 30, 150, 95]]
    image = np.stack([np.add.outer(np.zeros(100), np.arange(200))] * 3, axis=2).astype(np.uint8)

    def ours():
        results = crop(loaded(boxes, image=image))
        height, width = results['img_shape']
        tensor = results['gt_bboxes'].tensor
        assert (tensor[:, 2:] <= torch.tensor([width, height])).all() and (tensor >= 0).all()
        left = int(results['img'][0, 0, 0])
        for box, label in zip(tensor.tolist(), results['gt_bboxes_labels']):
            assert box[0] == max(boxes[label][0] - left, 0)
        assert (results['gt_ignore_flags'] == (results['gt_bboxes_labels'] == 1)).all()
        return width / 200, height / 100, left / 200, len(tensor), (height, width) == (100, 200)

    def originals():
        width, height, left, kept = reference_crop(np.array(boxes, float), 200, 100)
        return width / 200, height / 100, left / 200, kept, (height, width) == (100, 200)

    got, wanted = drawn(400, 0, ours), drawn(1500, 1, originals)
    assert_alike(got, wanted)
    sides = got[got[:, 4] == 0][:, :2]
    assert 0.2 < sides.min() < 0.3 and sides.max() < 1  # 0.3 by the stretch of its aspect
    assert np.exp(np.abs(np.log(sides[:, 0] / sides[:, 1]))).max() < 2.1


def reference_crop(boxes, width, height):
    """The original's crop, a try at a time: width, height, left side, and how many boxes stay."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while True:
        mode = np.random.randint(4)
        if mode == 0:
            return width, height, 0, len(boxes)
        least = (0.1, 0.3, -1)[mode - 1]
        for _ in range(50):
            wide, high = reference_stretched(
                np.random.uniform(0.3, 1), lambda square: square, lambda square: 1 / square
            )
            w, h = int(wide * width), int(high * height)
            x, y = np.random.randint(width - w), np.random.randint(height - h)
            sides = [
                np.minimum(boxes[:, i + 2], (x + w, y + h)[i]) - np.maximum(boxes[:, i], (x, y)[i])
                for i in (0, 1)
            ]
            inside = sides[0].clip(0) * sides[1].clip(0)
            if (inside / (areas + w * h - inside)).min() < least:
                continue
            centers = (boxes[:, :2] + boxes[:, 2:]) / 2
            kept = ((centers > [x, y]) & (centers < [x + w, y + h])).all(axis=1).sum()
            if kept:
                return w, h, x, kept


def test_a_crop_holds_the_centre_of_a_box():
    """Also where no overlap is asked for; most crops would miss these two."""
    np.random.seed(0)
    crop = SSDCrop(min_ious=())
    sizes = set()
    for _ in range(40):
        results = crop(loaded([[0, 0, 12, 8], [190, 90, 200, 100]]))
        assert len(results['gt_bboxes']) > 0
        sizes.add(results['img_shape'])
    assert len(sizes) > 10


def reference_colours(image, added, contrast, steps, saturation):
    """The original's steps, each clipped and cut to whole numbers, in 8 bits (_distort)."""
    image = np.clip(image.astype(float) + added, 0, 255).astype(np.uint8)
    image = np.clip(image.astype(float) * contrast, 0, 255).astype(np.uint8)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv[:, :, 0] = (hsv[:, :, 0].astype(int) + steps) % 180
    hsv[:, :, 1] = np.clip(hsv[:, :, 1].astype(float) * saturation, 0, 255).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def test_colours_change_in_8_bits():
    np.random.seed(0)
    image = np.random.randint(0, 256, (8, 8, 3), np.uint8)
    distort = SSDColorDistortion()
    seen = set()
    for _ in range(60):
        values = distort.draw()
        distort.draw = lambda values=values: values
        got = distort(dict(img=image.copy()))['img']
        del distort.draw
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, reference_colours(image, *values))
        seen.add(tuple(value != unchanged for value, unchanged in zip(values, (0, 1, 0, 1))))
    assert len(seen) > 12  # of the 16 ways to take some steps and leave the others


def test_hue_turns_by_up_to_36_degrees():
    """Steps of OpenCV's hue, which counts 2 degrees each; about half of the images are turned."""
    np.random.seed(0)
    distort = SSDColorDistortion()
    steps = np.array([distort.draw()[2] for _ in range(2000)])
    assert (steps.min(), steps.max()) == (-18, 18)
    assert 0.45 < (steps == 0).mean() < 0.58  # half, and one of 37 of the others
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 2] = 255
    turned = SSDColorDistortion(0, (1, 1), (1, 1))
    turned.draw = lambda: (0, 1, 18, 1)
    blue, green, red = turned(dict(img=red))['img'][0, 0].tolist()
    assert (blue, red) == (0, 255) and green == pytest.approx(255 * 36 / 60, abs=1)


def test_an_image_without_boxes_stays():
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    augment = AugmentOrKeep([dict(type='SSDExpand', mean=(0, 0, 0), prob=1)])
    init_default_scope('mmdet')
    results = augment(loaded([], image=image))
    assert results['img'] is image and len(results['gt_bboxes']) == 0


@pytest.mark.parametrize('least, kept', [(0.01, [0, 2]), (0.2, [2]), (0.9, [0, 1, 2])])
def test_small_boxes_are_dropped_unless_all_are(least, kept):
    """By the shorter side, of the augmented image's own; then the image stays as it was."""
    init_default_scope('mmdet')
    augment = AugmentOrKeep([dict(type='RandomFlip', prob=1.0)], min_side=least)
    boxes = [[10, 10, 20, 14], [30, 10, 32, 90], [50, 20, 110, 80]]
    image = np.random.default_rng(0).integers(0, 256, (100, 200, 3)).astype(np.uint8)
    results = augment(loaded(boxes, image=image.copy()))
    assert results['gt_bboxes_labels'].tolist() == kept
    assert len(results['gt_ignore_flags']) == len(kept)
    flipped = len(kept) < 3
    np.testing.assert_array_equal(results['img'], image[:, ::-1] if flipped else image)
    wanted = [[200 - b[2], b[1], 200 - b[0], b[3]] if flipped else b for b in boxes]
    assert results['gt_bboxes'].tensor.tolist() == [wanted[index] for index in kept]


def test_a_crop_is_not_shared_by_images():
    """It would be tried for ever where it does not fit."""
    crop = SSDCrop()
    with pytest.raises(RuntimeError, match='SSDCrop'), cache_random_params(crop):
        crop(loaded([[0, 0, 5, 5]]))


def test_bad_images_are_refused():
    with pytest.raises(ValueError, match='needs images of uint8, got float32'):
        SSDColorDistortion()(dict(img=np.zeros((2, 2, 3), np.float32)))
    with pytest.raises(ValueError, match='SSDCrop changes boxes, not gt_masks: load boxes'):
        SSDCrop()(dict(loaded([[0, 0, 5, 5]]), gt_masks=None))


def test_cocos_pipeline_is_the_originals(root):
    """Its order, and boxes that it changes on the way."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(root / 'configs/ssd512_hardnet68_coco.py')
    first = [transform.type for transform in cfg.train_pipeline]
    assert first[:4] == [
        'LoadImageFromFile',
        'LoadAnnotations',
        'TrainIgnoredBoxes',
        'InclusiveBoxes',
    ]
    augment = TRANSFORMS.build(cfg.train_pipeline[4])
    assert [type(step).__name__ for step in augment.transforms] == [
        'SSDCrop',
        'SSDColorDistortion',
        'SSDExpand',
        'RandomFlip',
    ]
    assert augment.min_side == 0.01
    # the canvas is what the network takes for 0
    preprocessor = cfg.model.data_preprocessor
    assert augment.transforms.transforms[2].mean == tuple(preprocessor.mean) == (104, 117, 123)
    assert preprocessor.std == [1, 1, 1] and not preprocessor.bgr_to_rgb
