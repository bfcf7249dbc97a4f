"""Of files: what reaches the loss, and the metric."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import TRANSFORMS
from PIL import Image

from hardnet_mm.seg import LoadBinaryMask, PackSoftMask, RandomShiftScaleRotate, ResizeSoftMask
from hardnet_mm.utils.errors import InputError


@pytest.fixture
def results(tmp_path):
    """An image and its mask, a disk with a soft edge, as the loaders find them."""
    y, x = np.mgrid[:60, :90]
    mask = np.clip(128 - 20 * (np.hypot(y - 30, x - 40) - 15), 0, 255).astype(np.uint8)
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    paths = dict(img_path=str(tmp_path / 'image.png'), seg_map_path=str(tmp_path / 'mask.png'))
    for path, values in zip(paths.values(), (image, mask)):
        cv2.imwrite(path, values)
    return dict(img=image, ori_shape=(60, 90), img_shape=(60, 90), seg_fields=[], **paths), mask


def test_hard_masks_are_the_numbers_of_two_classes(results):
    found = LoadBinaryMask()(results[0])
    assert found['seg_fields'] == ['gt_seg_map']
    np.testing.assert_array_equal(found['gt_seg_map'], results[1] > 128)
    assert found['gt_seg_map'].dtype == np.uint8


@pytest.mark.parametrize('size', [(32, 32), (64, 48)])
def test_soft_masks_are_interpolated_as_the_original_does(results, size):
    """By Pillow, image and mask alike, to 8 bits; then 0 to 1."""
    found = LoadBinaryMask(soft=True)(results[0])
    np.testing.assert_array_equal(found['gt_seg_map'], results[1])
    found = ResizeSoftMask(scale=size, backend='pillow')(found)
    wanted = np.asarray(Image.fromarray(results[1]).resize(size, Image.BILINEAR))
    np.testing.assert_array_equal(found['gt_seg_map'], wanted)
    image = Image.open(results[0]['img_path']).resize(size, Image.BILINEAR)
    np.testing.assert_array_equal(found['img'][..., ::-1], np.asarray(image))
    packed = PackSoftMask()(found)['data_samples'].gt_sem_seg.data
    assert packed.dtype == torch.float32 and packed.shape == (1, *size[::-1])
    np.testing.assert_allclose(packed[0].numpy(), wanted / 255, rtol=1e-6)
    assert ((packed > 0) & (packed < 1)).any()


def test_keeps_the_ratio_where_asked(results):
    found = ResizeSoftMask(scale=(45, 45), keep_ratio=True)(LoadBinaryMask(soft=True)(results[0]))
    assert found['gt_seg_map'].shape == found['img'].shape[:2] == (30, 45)


def test_images_without_masks_are_packed(results):
    results[0].pop('seg_map_path')
    found = LoadBinaryMask(soft=True)(results[0])
    found = PackSoftMask()(ResizeSoftMask(scale=(32, 32))(found))
    assert found['inputs'].shape == (3, 32, 32) and 'gt_sem_seg' not in found['data_samples']


def test_a_mask_of_another_size_is_refused(results):
    results[0]['ori_shape'] = (60, 91)
    with pytest.raises(InputError, match=r'mask.png has 60 x 90.*image.png 60 x 91'):
        LoadBinaryMask()(results[0])


def test_several_classes_are_refused_by_name(results):
    cv2.imwrite(results[0]['seg_map_path'], results[1] // 100)
    with pytest.raises(InputError, match='mask.png has values up to 2'):
        LoadBinaryMask()(results[0])
    found = LoadBinaryMask(foreground=[2])(results[0])
    np.testing.assert_array_equal(found['gt_seg_map'], results[1] >= 200)


@pytest.mark.parametrize('recipe', ['mseg_hardnet68_kvasir_modern', 'dfus_hardnetv2-53_kvasir'])
def test_augmentation_keeps_masks_soft_and_with_their_images(results, root, recipe):
    """A recipe's, many times: where the image is black by rotation, there is no mask."""
    from mmengine.config import Config

    init_default_scope('mmseg')
    cfg = Config.fromfile(root / f'configs/{recipe}.py')
    colours = ('PhotoMetricDistortion', 'RandomCutOut', 'PillowColorJitter')
    steps = [step for step in cfg.train_pipeline if not any(name in str(step) for name in colours)]
    assert len(steps) == len(cfg.train_pipeline) - (1 if 'modern' in recipe else 2)
    image = np.repeat(results[1][..., None], 3, axis=2)  # it shows its mask
    cv2.imwrite(results[0]['img_path'], image)
    np.random.seed(0)
    for _ in range(8):
        data = {k: v for k, v in results[0].items() if k.endswith('path')}
        data.update(seg_fields=[], reduce_zero_label=False)
        for step in steps:
            data = TRANSFORMS.build(step)(data)
        mask = data['data_samples'].gt_sem_seg.data[0]
        assert data['inputs'].shape[1:] == mask.shape == cfg.scale
        assert mask.max() > 0.9
        # rotated by another interpolation, they differ at edges alone
        assert (data['inputs'][0] / 255 - mask).abs().mean() < 0.01


def test_shift_scale_and_rotation_are_of_image_and_mask():
    """Within their limits, around the centre, mirrored at the border; and now and then none."""
    y, x = np.mgrid[:60, :90]
    blob = np.clip(255 - 16 * np.hypot(y - 29.5, x - 44.5), 0, 255).astype(np.uint8)
    transform = RandomShiftScaleRotate(prob=0.5, shift=0.1, scale=0.1, degree=45)
    np.random.seed(0)
    centres, changed = [], 0
    for _ in range(60):
        data = transform(dict(img=np.repeat(blob[..., None], 3, axis=2), gt_seg_map=blob))
        assert np.array_equal(data['img'][..., 1], data['gt_seg_map'])
        changed += not np.array_equal(data['gt_seg_map'], blob)
        weights = data['gt_seg_map'] / data['gt_seg_map'].sum()
        centres.append(((weights * y).sum() - 29.5, (weights * x).sum() - 44.5))
    assert 18 < changed < 42
    furthest = np.abs(centres).max(axis=0)
    assert np.all(furthest < (6.1, 9.1)) and np.all(furthest > (4, 6))
    turned = RandomShiftScaleRotate(prob=1, shift=0, scale=0, degree=45)
    data = turned(dict(img=np.full((60, 90, 3), 7, np.uint8), gt_seg_map=blob))
    assert np.all(data['img'] == 7)  # nothing is filled in
    scaled = RandomShiftScaleRotate(prob=1, shift=0, scale=0.1, degree=0)
    areas = [(scaled(dict(img=blob, gt_seg_map=blob))['img'] > 100).sum() for _ in range(20)]
    ratios = np.array(areas) / (blob > 100).sum()
    assert 0.75 < ratios.min() < 0.95 and 1.05 < ratios.max() < 1.25
    assert set(scaled(dict(img=blob))) == {'img'}
