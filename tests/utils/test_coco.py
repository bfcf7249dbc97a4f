"""Annotations that would be read as something else: refused, with the file's name."""

import json
import math
import os

import pytest
from mmengine.registry import init_default_scope
from pycocotools import mask as masks

from hardnet_mm.utils.coco import check_annotations
from hardnet_mm.utils.errors import InputError


def content(**changes):
    """Annotations of an image of 6 x 4, with a box changed."""
    box = dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 3, 2.5], area=7.5, iscrowd=0)
    return dict(
        images=[dict(id=1, file_name='a.png', height=4, width=6)],
        categories=[dict(id=1, name='a')],
        annotations=[{**box, **changes}],
    )


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(bbox=[0, 0, math.nan, 1]), 'annotation 1 must have a bbox of four finite'),
        (dict(bbox=[0, 0, 1]), 'four finite numbers, got'),
        (dict(bbox=[0, 0, 10**20, 1]), 'four finite numbers, got'),
        (dict(segmentation=dict(size=5, counts=[24])), 'of size 5, and its image is of'),
        (dict(bbox=None), 'four finite numbers, got None'),
        (dict(bbox=list('abcd')), 'four finite numbers'),
        (dict(area=math.inf), 'must have an area'),
        (dict(segmentation=dict(size=[10**6, 10**6], counts=[10**12])), 'and its image is of'),
        (dict(segmentation=dict(size=[4, 6], counts=[1, 2])), '3 pixels, and its image has 24'),
        (dict(segmentation=dict(size=[4, 6], counts='oooo')), 'has no valid run-length code'),
        (dict(segmentation=dict(size=[4, 6], counts='o' * 10**6)), 'has no valid run-length code'),
        (dict(segmentation=dict(size=[4, 6], counts=None)), 'has no valid run-length code'),
        (dict(segmentation=dict(size=[4, 6], counts=[-5, 29])), 'with a run of no length'),
        (dict(segmentation=dict(size=[4, 6], counts=[0.5, 23.5])), 'with a run of no length'),
        # of these pycocotools makes a crash of the interpreter, or an empty mask
        (dict(segmentation=[[0, 0, 1e9, 0, 1e9, 1e9]]), 'a polygon from 0 to 1e.09, and its out'),
        (dict(segmentation=[[0, 0, 1e4, 0] * 1000]), 'a polygon from 0 to 10000, and its outline'),
        (dict(segmentation=[[0, 0, math.inf, 0, 5, 5]]), 'with a number that is not finite'),
        (dict(segmentation=[[math.nan] * 8]), 'with a number that is not finite'),
        (dict(segmentation=[list('abcdef')]), 'a polygon that is not of numbers'),
        (dict(id=None), "an entry of 'annotations' has no id"),
    ],
)
def test_what_no_annotation_can_be(changes, words):
    with pytest.raises(InputError, match=words):
        check_annotations(content(**changes))


@pytest.mark.parametrize('key', ['images', 'categories', 'annotations'])
def test_an_id_that_stands_twice(key):
    twice = content()
    twice[key] *= 2
    with pytest.raises(InputError, match=f"two entries of '{key}' have the id 1"):
        check_annotations(twice)
    del twice[key]
    if key != 'annotations':  # a test set has none
        with pytest.raises(InputError, match=f"'{key}' in it must be a list"):
            check_annotations(twice)
    nameless = content()
    del nameless['categories'][0]['name']
    with pytest.raises(InputError, match='category 1 has no name'):
        check_annotations(nameless)
    with pytest.raises(InputError, match='it must hold a dict, and holds a list'):
        check_annotations([])


def test_what_mmdet_leaves_out_stays(caplog):
    for changes in (
        dict(bbox=[0, 0, -1, 2]),
        dict(bbox=[-1e9, 0, 2e9, 2]),
        dict(bbox=None, ignore=1),
        dict(category_id=7),
        dict(image_id=7, bbox=None),
        dict(segmentation=[]),
        dict(segmentation=[[], [1, 2]]),
        dict(segmentation=[[-9, -9, 1e4, -9, 1e4, 1e4] * 50]),
    ):
        check_annotations(content(**changes))


def test_run_lengths_as_pycocotools_writes_them():
    import numpy as np

    rng = np.random.default_rng(0)
    for density in (0, 0.02, 0.5, 1):
        array = np.asfortranarray(rng.random((4, 6)) < density, np.uint8)
        code = masks.encode(array)
        check_annotations(content(segmentation=code))
        check_annotations(content(segmentation=dict(code, counts=code['counts'].decode())))
    array = np.asfortranarray(rng.random((400, 600)) < 0.001, np.uint8)  # long runs
    large = content(segmentation=masks.encode(array))
    large['images'][0].update(height=400, width=600)
    check_annotations(large)


def test_mmdets_data_set_names_the_file(tmp_path):
    init_default_scope('mmdet')
    from mmdet.datasets import CocoDataset

    path = tmp_path / 'a.json'
    for text, words in (
        (json.dumps(content(bbox=[0, 0, math.nan, 1])), 'four finite numbers'),
        ('{"images": [', 'Expecting value'),
        ('[]', 'dict|list'),
        ('[' * 200_000, 'recursion'),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=f'a.json holds no annotations.*({words})'):
            CocoDataset(ann_file=str(path), metainfo=dict(classes=('a',)))
    os.mkfifo(tmp_path / 'pipe.json')
    with pytest.raises(InputError, match='pipe.json is a pipe or a device'):
        CocoDataset(ann_file=str(tmp_path / 'pipe.json'))
    path.write_text(json.dumps(content()))
    whole = CocoDataset(ann_file=str(path), data_prefix=dict(img=''), metainfo=dict(classes=('a',)))
    assert len(whole) == 1
