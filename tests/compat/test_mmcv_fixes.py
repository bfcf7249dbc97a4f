"""Images and masks that the toolboxes cannot decode are named, in training and in evaluation."""

import os
import sys
from types import SimpleNamespace

import cv2
import mmcv
import mmengine
import numpy as np
import pytest
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmdet.datasets import transforms as mmdet_transforms
from mmdet.evaluation.functional.cityscapes_utils import readGTImage
from mmseg.datasets import transforms as mmseg_transforms
from PIL import Image

from hardnet_mm.utils.errors import InputError


def png(size=32):
    image = np.random.default_rng(0).integers(0, 255, (size, size), np.uint8)
    return cv2.imencode('.png', image)[1].tobytes()


BROKEN = dict(empty=b'', cut=png()[:600], text=b'no image\n' * 9)


def image(kind, **arguments):
    return lambda path: kind(**arguments)(dict(img_path=path))


def mask(kind, **arguments):
    def load(path):
        results = dict(img_path='a.jpg', seg_map_path=path, seg_fields=[], segments_info=[])
        results.update(reduce_zero_label=False, ori_shape=(32, 32), instances=[])
        return kind(**arguments)(results)

    return load


MASKS = dict(with_bbox=False, with_label=False, with_seg=True)


@pytest.fixture(autouse=True)
def panopticapi(monkeypatch):
    """LoadPanopticAnnotations asks for this package, which is in no index, for one function."""
    utils = SimpleNamespace(rgb2id=lambda colours: colours @ [1, 256, 256**2])
    monkeypatch.setitem(sys.modules, 'panopticapi', SimpleNamespace(utils=utils))


READERS = {
    'image': image(LoadImageFromFile),
    'image, Pillow': image(LoadImageFromFile, imdecode_backend='pillow'),
    'image of several files': lambda path: mmdet_transforms.LoadMultiChannelImageFromFiles()(
        dict(img_path=[path])
    ),
    "mmcv's mask": mask(LoadAnnotations, **MASKS),
    "mmdet's mask": mask(mmdet_transforms.LoadAnnotations, **MASKS),
    "mmdet's mask, Pillow": mask(
        mmdet_transforms.LoadAnnotations, imdecode_backend='pillow', **MASKS
    ),
    'panoptic mask': mask(
        mmdet_transforms.LoadPanopticAnnotations, with_bbox=False, with_label=False
    ),
    "mmseg's mask": mask(mmseg_transforms.LoadAnnotations, imdecode_backend='cv2'),
    "mmseg's mask, Pillow": mask(mmseg_transforms.LoadAnnotations),
    "a metric's mask": mmcv.imread,
    "Cityscapes' metric": readGTImage,
}


@pytest.mark.parametrize('fault', BROKEN)
@pytest.mark.parametrize('reader', READERS)
def test_a_file_that_cannot_be_decoded_is_named(tmp_path, reader, fault):
    path = tmp_path / f'{fault}.png'
    path.write_bytes(BROKEN[fault])
    with pytest.raises(InputError, match=rf'{fault}\.png cannot be read as an image: .'):
        READERS[reader](str(path))


def test_one_of_too_many_pixels_is_named(tmp_path, monkeypatch):
    """Pillow refuses it before it decodes anything."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 99)
    (tmp_path / 'bomb.png').write_bytes(png())
    with pytest.raises(InputError, match='bomb.png cannot be read as an image: .*bomb'):
        READERS["mmseg's mask, Pillow"](str(tmp_path / 'bomb.png'))


def test_the_file_of_other_content_is_not_named(tmp_path):
    """Neither of what no file holds, nor of one that is gone."""
    (tmp_path / 'text.png').write_bytes(BROKEN['text'])
    with pytest.raises(InputError):
        mmcv.imread(tmp_path / 'text.png')
    assert mmcv.imfrombytes(b'other') is None
    (tmp_path / 'text.png').unlink()
    assert mmcv.imfrombytes(BROKEN['text']) is None


@pytest.mark.parametrize('reader', ['image', "mmseg's mask", "a metric's mask"])
def test_a_device_or_a_pipe_is_not_read(tmp_path, reader):
    """It would fill the memory, or wait for ever."""
    (tmp_path / 'zero.png').symlink_to('/dev/zero')
    os.mkfifo(tmp_path / 'pipe.png')
    for name in ('zero.png', 'pipe.png'):
        with pytest.raises(InputError, match=f'{name} is a pipe or a device'):
            READERS[reader](str(tmp_path / name))
    with pytest.raises(InputError, match='pipe.png is a pipe or a device'):
        mmengine.list_from_file(tmp_path / 'pipe.png')


def test_a_file_that_is_not_there_is_so(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.png'):
        LoadImageFromFile()(dict(img_path=str(tmp_path / 'none.png')))


def test_whole_files_are_read_as_before(tmp_path):
    (tmp_path / 'whole.png').write_bytes(png())
    for name, reader in READERS.items():
        found = reader(str(tmp_path / 'whole.png'))
        found = (
            found
            if isinstance(found, np.ndarray)
            else found['gt_seg_map' if 'mask' in name else 'img']
        )
        assert found.shape[:2] == (32, 32), name
