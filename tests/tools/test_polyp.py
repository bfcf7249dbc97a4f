"""polyp.py: one layout of any images and masks, or nothing."""

import json

import cv2
import numpy as np
import pytest

TOOL = 'dataset_converters/polyp.py'


@pytest.fixture
def source(tmp_path):
    """Two images of two kinds, a mask in a JPEG file, and one in a TIFF file."""
    folder = tmp_path / 'source'
    y, x = np.mgrid[:40, :56]
    disk = (np.hypot(y - 20, x - 30) < 12).astype(np.uint8) * 255
    image = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    for name, values in {
        'images/a.jpg': image,
        'images/b.png': image,
        'masks/a.jpg': np.repeat(disk[..., None], 3, axis=2),
        'masks/b.tif': disk * 0,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), values)
    return folder, disk


@pytest.fixture
def convert(source, run_tool, tmp_path):
    folder, _ = source

    def convert(*options, name='mine', **kwargs):
        arguments = (folder / 'images', folder / 'masks', name, '--out-dir', tmp_path / 'polyps')
        return run_tool(TOOL, *arguments, *options, **kwargs)

    return convert


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def test_one_layout(source, convert, tmp_path):
    folder, disk = source
    assert 'polyps/mine: 2 images, 1 of them without foreground' in convert()
    made = tmp_path / 'polyps/mine'
    assert files(made) == [
        'images/a.jpg',
        'images/b.png',
        'masks/a.png',
        'masks/b.png',
        'polyp.json',
    ]
    for name in ('images/a.jpg', 'images/b.png'):
        assert (made / name).read_bytes() == (folder / name).read_bytes()
    mask = cv2.imread(str(made / 'masks/a.png'), cv2.IMREAD_UNCHANGED)
    assert mask.shape == disk.shape and np.mean((mask > 128) == (disk > 0)) > 0.99
    assert json.loads((made / 'polyp.json').read_text())['images'] == 2

    from hardnet_mm.seg import PolypDataset

    prefix = dict(img_path='mine/images', seg_map_path='mine/masks')
    assert len(PolypDataset(data_root=str(tmp_path / 'polyps'), data_prefix=prefix)) == 2


def test_a_part_by_a_split_file(convert, tmp_path):
    (tmp_path / 'part.txt').write_text('b\n')
    convert('--split', tmp_path / 'part.txt')
    assert files(tmp_path / 'polyps/mine')[0] == 'images/b.png'


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda folder: (folder / 'masks/b.tif').unlink(), 'masks has no mask of 1 names, b'),
        (lambda folder: (folder / 'images/b.png').unlink(), 'images has no image of 1 masks, b'),
        (lambda folder: small(folder / 'masks/b.tif'), 'b.tif has 10 x 12 pixels, and its image'),
        (lambda folder: (folder / 'images/a.jpg').write_text('no'), 'a.jpg cannot be read'),
        (lambda folder: (folder / 'masks/b.tif').write_text('no'), 'b.tif cannot be read'),
        (lambda folder: emptied(folder / 'images'), 'there is no image in'),
        (lambda folder: several(folder / 'masks/b.tif'), 'b.tif has values up to 3'),
    ],
    ids='no-mask no-image size image mask empty classes'.split(),
)
def test_what_is_wrong_is_told_and_nothing_written(source, convert, tmp_path, change, words):
    change(source[0])
    assert words in convert(fails=True)
    assert not (tmp_path / 'polyps').exists()


def small(path):
    cv2.imwrite(str(path), np.zeros((10, 12), np.uint8))


def several(path):
    cv2.imwrite(str(path), np.tile(np.arange(4, dtype=np.uint8).repeat(14), (40, 1)))


def emptied(folder):
    for path in folder.iterdir():
        path.unlink()


def test_a_known_set_has_a_known_number(convert, tmp_path):
    output = convert(name='CVC-300', fails=True)
    assert 'CVC-300 has 60 images' in output and 'images 2' in output


def test_nothing_is_replaced_unasked(source, convert, tmp_path):
    convert()
    (source[0] / 'images/b.png').unlink()
    (source[0] / 'masks/b.tif').unlink()
    assert 'is there already' in convert(fails=True)
    convert('--overwrite')
    made = tmp_path / 'polyps/mine'
    assert files(made) == ['images/a.jpg', 'masks/a.png', 'polyp.json']
    (made / 'polyp.json').unlink()
    assert 'was not made by this tool' in convert('--overwrite', fails=True)
    assert 'must be the name of a folder' in convert(name='../up', fails=True)
