import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import TRANSFORMS
from PIL import Image, ImageEnhance

from hardnet_mm.seg import PadBothSides, PillowColorJitter


def results(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return dict(
        img=rng.integers(1, 256, (height, width, 3), np.uint8),
        img_shape=(height, width),
        gt_seg_map=rng.integers(0, 19, (height, width), np.uint8),
        seg_fields=['gt_seg_map'],
    )


@pytest.mark.parametrize('size', [(40, 50), (70, 50), (40, 90)])
def test_small_crops_are_padded_by_what_they_lack_on_each_side(size):
    given, padded = results(*size), PadBothSides((64, 64))(results(*size))
    height, width = (max(64 - side, 0) for side in size)
    wanted = np.pad(given['img'], ((height,) * 2, (width,) * 2, (0, 0)))  # black
    np.testing.assert_array_equal(padded['img'], wanted)
    ignored = np.pad(given['gt_seg_map'], ((height,) * 2, (width,) * 2), constant_values=255)
    np.testing.assert_array_equal(padded['gt_seg_map'], ignored)
    assert padded['img_shape'] == wanted.shape[:2]


def test_what_is_large_enough_is_left_alone():
    given = results(64, 70)
    image, classes = given['img'], given['gt_seg_map']
    padded = PadBothSides((64, 64))(given)
    assert padded['img'] is image and padded['gt_seg_map'] is classes


@pytest.fixture(scope='module')
def crops(root):
    """Many crops of one image by the config's pipeline, in small: its size, and the crops'."""
    init_default_scope('mmseg')
    pipeline = Config.fromfile(root / 'configs/fchardnet70_cityscapes.py').train_pipeline
    steps = {transform.type: transform for transform in pipeline}
    names = [transform.type for transform in pipeline]
    assert names.index('RandomResize') < names.index('PadBothSides') < names.index('RandomCrop')
    steps['RandomResize'].scale = (64, 32)
    steps['PadBothSides'].crop_size = steps['RandomCrop'].crop_size = (32, 32)
    chosen = [
        TRANSFORMS.build(steps[name]) for name in ('RandomResize', 'PadBothSides', 'RandomCrop')
    ]
    np.random.seed(0)
    found = []
    for _ in range(300):
        given = results(32, 64)
        for transform in chosen:
            given = transform(given)
        found.append(given)
    return found


def test_images_lie_anywhere_in_their_crops(crops):
    """The original pads both sides before it crops: the image is whole, at a random place."""
    places = set()
    for crop in crops:
        ignored = crop['gt_seg_map'] == 255
        assert crop['img'].shape == (32, 32, 3)
        assert (crop['img'][ignored] == 0).all()
        if ignored.any():
            rows, columns = np.nonzero(~ignored)
            places.add((rows.min() == 0, rows.max() == 31))
            assert (~ignored).sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert {(False, False), (True, False), (False, True)} <= places


def test_images_are_reduced_by_pillow(root):
    """It averages the pixels that it leaves out; labels are the nearest."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(root / 'configs/fchardnet70_cityscapes.py')
    resize = next(each for each in cfg.train_pipeline if each.type == 'RandomResize')
    resize = TRANSFORMS.build({**resize, 'ratio_range': (0.5, 0.5), 'scale': (64, 32)})
    given = results(32, 64)
    reduced = resize(dict(given))
    for key, method in (('img', Image.BILINEAR), ('gt_seg_map', Image.NEAREST)):
        wanted = Image.fromarray(given[key]).resize((32, 16), method)
        np.testing.assert_array_equal(reduced[key], wanted)


STEPS = dict(
    brightness=lambda image, x: ImageEnhance.Brightness(image).enhance(1 + x),
    contrast=lambda image, x: ImageEnhance.Contrast(image).enhance(1 + x),
    saturation=lambda image, x: ImageEnhance.Color(image).enhance(1 + x),
)


@pytest.mark.parametrize('name', STEPS)
def test_colours_change_as_pillow_changes_them(name, monkeypatch):
    monkeypatch.setattr(np.random, 'uniform', lambda low, high: high)
    given = results(8, 9)
    off = {**dict.fromkeys((*STEPS, 'hue'), 0), name: 0.4}
    changed = PillowColorJitter(**off, prob=1.0)
    changed.factors = {step: most for step, most in changed.factors.items() if most}
    changed.shift_hue = lambda image, shift: image
    wanted = STEPS[name](Image.fromarray(given['img'][..., ::-1]), 0.4)
    np.testing.assert_array_equal(changed(given)['img'], np.asarray(wanted)[..., ::-1])


@pytest.mark.parametrize('shift', [-18, 18.7])
def test_hue_turns_around_the_circle(shift):
    pixels = [[[255, 0, 0], [0, 255, 0], [255, 0, 10]]]
    image = Image.fromarray(np.array(pixels, np.uint8))
    hue = np.asarray(image.convert('HSV')).astype(int)[..., 0]
    turned = np.asarray(PillowColorJitter.shift_hue(image, shift).convert('HSV'))[..., 0]
    moved = (turned - hue + 128) % 256 - 128
    assert (np.abs(moved - shift) <= 2).all()


def test_each_step_has_its_probability():
    np.random.seed(0)
    image = results(2, 2)['img']
    jitter, none = PillowColorJitter(), PillowColorJitter(prob=0.0)
    same = [np.array_equal(jitter(dict(img=image))['img'], image) for _ in range(300)]
    assert 0.02 < np.mean(same) < 0.13  # a sixteenth
    np.testing.assert_array_equal(none(dict(img=image))['img'], image)
