import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from hardnet_mm.seg import BinaryMaskDataset, PolypDataset
from hardnet_mm.utils.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Three images of three kinds, their masks of others, and what is no image."""
    for name in ('images/b.jpg', 'images/a.png', 'images/sub/c.d.TIF'):
        write(tmp_path / name)
    for name in ('masks/a.tif', 'masks/b.png', 'masks/sub/c.d.jpeg'):
        write(tmp_path / name)
    (tmp_path / 'images/readme.txt').write_text('none')
    return tmp_path


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((4, 6, 3), np.uint8))


def names(dataset):
    return [
        tuple(entry[key].rpartition('/')[2] for key in ('img_path', 'seg_map_path'))
        for entry in map(dataset.get_data_info, range(len(dataset)))
    ]


def test_pairs_by_name_whatever_the_suffix(folder):
    init_default_scope('mmseg')
    dataset = DATASETS.build(dict(type='BinaryMaskDataset', data_root=str(folder)))
    assert names(dataset) == [('a.png', 'a.tif'), ('b.jpg', 'b.png'), ('c.d.TIF', 'c.d.jpeg')]
    assert dataset.metainfo['classes'] == ('background', 'foreground')
    assert len(dataset.metainfo['palette']) == 2


def test_a_split_file_names_its_part_in_its_order(folder):
    (folder / 'train.txt').write_text('sub/c.d\n\nb.jpg\n')
    dataset = BinaryMaskDataset(data_root=str(folder), ann_file='train.txt')
    assert names(dataset) == [('c.d.TIF', 'c.d.jpeg'), ('b.jpg', 'b.png')]


def test_images_without_masks(folder):
    dataset = BinaryMaskDataset(
        data_root=str(folder), data_prefix=dict(img_path='images'), test_mode=True
    )
    assert len(dataset) == 3 and 'seg_map_path' not in dataset.get_data_info(0)


def test_classes_may_have_other_names():
    names = ('background', 'ulcer')
    dataset = BinaryMaskDataset(metainfo=dict(classes=names), lazy_init=True)
    assert dataset.metainfo['classes'] == names and dataset.metainfo['label_map'] is None
    assert PolypDataset(lazy_init=True).metainfo['classes'] == ('background', 'polyp')
    with pytest.raises(InputError, match='has two classes.*ulcer'):
        BinaryMaskDataset(metainfo=dict(classes=('background', 'ulcer', 'wound')), lazy_init=True)


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda folder: (folder / 'masks/b.png').unlink(), 'masks.* has no mask of 1 names, b'),
        (lambda folder: write(folder / 'images/a.bmp'), 'images.* two images with the name a'),
        (lambda folder: (folder / 'train.txt').write_text('a\nz'), 'has no image of 1 names, z'),
        (
            lambda folder: (folder / 'train.txt').write_text('\n'),
            'no image in .*train.txt',
        ),
        (lambda folder: (folder / 'images').rename(folder / 'pictures'), 'no folder .*images'),
    ],
)
def test_what_is_not_there_is_told(folder, change, words):
    (folder / 'train.txt').write_text('a\nb')
    change(folder)
    with pytest.raises(InputError, match=words):
        BinaryMaskDataset(data_root=str(folder), ann_file='train.txt')


def test_an_empty_folder_is_told(tmp_path):
    for name in ('images', 'masks'):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match='there is no image in .*images: .bmp'):
        BinaryMaskDataset(data_root=str(tmp_path))
