"""Tests of tools/dataset_converters/digits.py."""

import hashlib
import importlib.util
import itertools
import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('sklearn')
pytest.importorskip('skimage')
COCO = pytest.importorskip('pycocotools.coco').COCO

TOOL = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'digits.py'
SMALL = '--train-images 6 --val-images 4 --train-crops 20 --val-crops 10'.split()
COUNTS = {'train': (6, 20), 'val': (4, 10)}


@pytest.fixture(scope='module')
def digits():
    """Import the tool as a module."""
    spec = importlib.util.spec_from_file_location('digits', TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules['digits'] = module  # where its processes find it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def made(digits, tmp_path_factory):
    """Make a small data set once for the tests which only read it."""
    out_dir = tmp_path_factory.mktemp('made') / 'digits'
    digits.main(['--out-dir', str(out_dir), *SMALL])
    return out_dir


def make(digits, out_dir, *args):
    """Run the tool on tiny counts."""
    digits.main(['--out-dir', str(out_dir), *SMALL, *map(str, args)])


def tree(folder):
    """Map each file's path below the folder to the hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*')
        if path.is_file()
    }


def load_coco(folder, split):
    """Read a split's COCO content as a dict."""
    return json.loads((folder / 'annotations' / f'{split}.json').read_text())


def crop_sources(folder, split):
    """Return the sets of sample numbers and of photograph names in a split's crop names."""
    names = [path.stem.split('_', 1)[1] for path in (folder / 'crops' / split).rglob('*.png')]
    return {int(name[-4:]) for name in names}, {name[:-5] for name in names}


def test_same_seed_same_bytes(digits, made, tmp_path):
    """The whole tree repeats byte for byte, marker included, wherever it is made."""
    make(digits, tmp_path / 'again')
    assert tree(tmp_path / 'again') == tree(made)


def test_other_seed_other_images(digits, made, tmp_path):
    """Another seed changes every image, crop and mask, not just some."""
    make(digits, tmp_path / 'other', '--seed', 1)
    assert not set(tree(tmp_path / 'other').values()) & set(tree(made).values())


def test_fewer_images_are_a_prefix(digits, made, tmp_path):
    """An image depends neither on the number of images nor on the other tasks."""
    make(digits, tmp_path / 'few', '--train-images', 3, '--tasks', 'detection')
    few, all_files = tree(tmp_path / 'few'), tree(made)
    images = [name for name in few if name.endswith('.jpg')]
    assert len(images) == 3 + 4
    assert all(few[name] == all_files[name] for name in images)
    assert {name.split('/')[0] for name in few} == {'annotations', 'train', 'val', 'digits.json'}


def test_splits_share_nothing(digits, made):
    """No digit sample and no photograph is in both splits, as planned and as written."""
    splits = digits.load_splits()
    train, val = splits['train'], splits['val']
    assert sorted([*train.samples, *val.samples]) == list(range(1797))
    for split, share in ((train, 0.8), (val, 0.2)):
        counts = np.bincount(split.labels[split.samples], minlength=10)
        assert np.allclose(counts / np.bincount(split.labels), share, atol=0.01)
    # Equal grids would be shared handwriting even under different numbers.
    assert not {g.tobytes() for g in train.grids[train.samples]} & {
        g.tobytes() for g in val.grids[val.samples]
    }
    scenes = [{name.split('.')[0].split('_')[0] for name in split.photos} for split in (train, val)]
    assert 'motorcycle' in scenes[0] and not scenes[0] & scenes[1]

    for name, split in splits.items():
        coco, (crop_samples, crop_photos) = load_coco(made, name), crop_sources(made, name)
        written = {a['sample'] for a in coco['annotations']} | crop_samples
        assert written and written <= set(split.samples.tolist())
        assert {image['photo'] for image in coco['images']} <= set(split.photos)
        assert crop_photos <= {Path(photo).stem for photo in split.photos}
        assert len(crop_photos) > 2


@pytest.mark.parametrize('split', ['train', 'val'])
def test_coco_matches_masks(digits, made, split):
    """Boxes, areas and run lengths describe the pixels of the semantic masks and nothing else."""
    coco = COCO(str(made / 'annotations' / f'{split}.json'))
    names = {category['id']: category['name'] for category in coco.dataset['categories']}
    assert names == {digit + 1: str(digit) for digit in range(10)}
    labels = digits.load_digits().target
    assert len(coco.imgs) == COUNTS[split][0]
    for image_id, entry in coco.imgs.items():
        image = cv2.imread(str(made / split / entry['file_name']))
        mask_name = Path(entry['file_name']).with_suffix('.png').name
        semantic = cv2.imread(str(made / 'masks' / split / mask_name), cv2.IMREAD_UNCHANGED)
        assert image.shape == (entry['height'], entry['width'], 3) == (192, 192, 3)
        assert semantic.dtype == np.uint8 and semantic.shape == (192, 192)
        rebuilt = np.zeros_like(semantic)
        annotations = coco.imgToAnns[image_id]
        assert 2 <= len(annotations) <= 7
        for annotation in annotations:
            mask = coco.annToMask(annotation).astype(bool)
            assert annotation['category_id'] == labels[annotation['sample']] + 1
            assert not rebuilt[mask].any()
            rebuilt[mask] = annotation['category_id']
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            x, y, width, height = annotation['bbox']
            assert (x, x + width - 1) == (columns[0], columns[-1])
            assert (y, y + height - 1) == (rows[0], rows[-1])
            assert annotation['area'] == mask.sum() > 0 and annotation['iscrowd'] == 0
            assert height <= 72
        assert np.array_equal(rebuilt, semantic)


@pytest.mark.parametrize('corner', [0, 1])
def test_masks_may_start_with_ink(digits, corner):
    """The run lengths hold whether or not the first pixel is ink."""
    mask = np.array([[corner, 0, 1], [1, 1, 0]], bool)
    encoded = digits.encode_mask(mask)
    coco = COCO()
    coco.imgs = {1: {'height': 2, 'width': 3}}
    assert np.array_equal(coco.annToMask({'image_id': 1, 'segmentation': encoded}), mask)


def test_digits_stand_out(made):
    """The ink differs from the photograph around it in every image, for every digit."""
    coco = COCO(str(made / 'annotations' / 'train.json'))
    for annotation in coco.anns.values():
        name = coco.imgs[annotation['image_id']]['file_name']
        grey = cv2.imread(str(made / 'train' / name), cv2.IMREAD_GRAYSCALE).astype(float)
        ink = coco.annToMask(annotation)
        around = cv2.dilate(ink, np.ones((9, 9))) - cv2.dilate(ink, np.ones((5, 5)))
        assert abs(np.median(grey[ink > 0]) - np.median(grey[around > 0])) > 25


def test_boxes_keep_apart(digits, tmp_path):
    """Even crowded images keep the digits apart, and digits are as high as asked for."""
    out_dir = tmp_path / 'crowd'
    crowd = '--digits-per-image 12 12 --digit-size 24 40 --tasks detection'.split()
    make(digits, out_dir, *crowd)
    content = load_coco(out_dir, 'train')
    heights = [annotation['bbox'][3] for annotation in content['annotations']]
    assert len(heights) > 6 * 8 and max(heights) <= 40
    assert np.mean([height >= 24 for height in heights]) > 0.8
    for image in content['images']:
        boxes = [a['bbox'] for a in content['annotations'] if a['image_id'] == image['id']]
        for (x, y, w, h), (x2, y2, w2, h2) in itertools.combinations(boxes, 2):
            across = max(x, x2) - min(x + w, x2 + w2)
            down = max(y, y2) - min(y + h, y2 + h2)
            assert max(across, down) >= digits.GAP


@pytest.mark.parametrize('split', ['train', 'val'])
def test_crops(digits, made, split):
    """Every class folder holds its share of crops, each of a digit of that class."""
    labels = digits.load_digits().target
    folders = sorted((made / 'crops' / split).iterdir())
    assert [folder.name for folder in folders] == list('0123456789')
    for folder in folders:
        paths = list(folder.iterdir())
        assert len(paths) == COUNTS[split][1] // 10
        for path in paths:
            assert cv2.imread(str(path)).shape == (48, 48, 3)
            assert labels[int(path.stem[-4:])] == int(folder.name)


def test_image_size_is_height_width(digits, tmp_path):
    """Two numbers are height then width, and images may be larger than a photograph."""
    make(digits, tmp_path / 'd', '--image-size', 96, 640, '--tasks', 'segmentation')
    assert not (tmp_path / 'd' / 'annotations').exists()
    for path in (tmp_path / 'd' / 'masks').rglob('*.png'):
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (96, 640)


def test_refuses_then_overwrites(digits, tmp_path, capsys):
    """An earlier data set stays until --overwrite is given, then only the new one remains."""
    out_dir = tmp_path / 'd'
    make(digits, out_dir, '--train-images', 7)
    before = tree(out_dir)
    with pytest.raises(SystemExit) as error:
        make(digits, out_dir)
    assert error.value.code == 2 and '--overwrite' in capsys.readouterr().err
    assert tree(out_dir) == before
    make(digits, out_dir, '--overwrite')
    assert len(list((out_dir / 'train').iterdir())) == 6
    assert [path.name for path in tmp_path.iterdir()] == ['d']


@pytest.mark.parametrize('names', [['notes.txt'], ['digits.json'], ['digits.json', 'train']])
def test_never_replaces_foreign_folder(digits, tmp_path, capsys, names):
    """Neither a folder without the marker nor one with another digits.json is replaced."""
    out_dir = tmp_path / 'd'
    out_dir.mkdir()
    for name in names:
        (out_dir / name).write_text('{"seed": 0}')
    before = tree(out_dir)
    with pytest.raises(SystemExit) as error:
        make(digits, out_dir, '--overwrite')
    assert error.value.code == 2 and 'did not make' in capsys.readouterr().err
    assert tree(out_dir) == before


def test_never_deletes_files_added_later(digits, tmp_path):
    """A file put beside the data set's own makes the folder foreign."""
    make(digits, tmp_path / 'd', '--tasks', 'classification')
    (tmp_path / 'd' / 'work_dirs').mkdir()
    with pytest.raises(SystemExit):
        make(digits, tmp_path / 'd', '--overwrite')
    assert (tmp_path / 'd' / 'work_dirs').exists()


@pytest.mark.parametrize('exception', [KeyboardInterrupt, OSError])
def test_interruption_leaves_all_as_it_was(digits, tmp_path, monkeypatch, exception):
    """Stopping halfway leaves the earlier data set whole and nothing half made beside it."""
    make(digits, tmp_path / 'd')
    before, write_image = tree(tmp_path / 'd'), digits.write_image

    def fail_later(path, *args):
        if path.name == '000003.jpg':
            raise exception
        write_image(path, *args)

    monkeypatch.setattr(digits, 'write_image', fail_later)
    for name in ('d', 'new'):
        with pytest.raises(exception):
            make(digits, tmp_path / name, '--overwrite')
    assert tree(tmp_path / 'd') == before
    assert [path.name for path in tmp_path.iterdir()] == ['d']


def test_failed_rename_puts_the_old_back(digits, tmp_path):
    """If the new folder can't be renamed, the old one is at its place again."""
    old = tmp_path / 'd'
    old.mkdir()
    (old / 'file').write_text('old')
    (tmp_path / 'part').mkdir()
    with pytest.raises(FileNotFoundError):
        digits.put_in_place(tmp_path / 'part' / 'missing', old)
    assert (old / 'file').read_text() == 'old'


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ('--digits-per-image 5 2', 'MIN must not exceed MAX'),
        ('--digit-size 60 30', 'MIN must not exceed MAX'),
        ('--digit-size 4 30', 'at least 8'),
        ('--digit-size 28 200', 'at most 192'),
        ('--image-size 64 300', 'at most 64'),
        ('--image-size 1 2 3', 'one or two numbers'),
        ('--digits-per-image 2 90', 'too many'),
        ('--train-images 0', 'at least 1'),
        ('--val-images -3', 'at least 1'),
        ('--train-crops 9', 'at least 10'),
        ('--val-crops 9', 'at least 10'),
        ('--crop-size 15', 'at least 16'),
        ('--seed -1', 'negative'),
        ('--tasks keypoints', 'detection'),
    ],
)
def test_bad_arguments(digits, tmp_path, capsys, args, message):
    """A wrong argument is one error which says what is allowed; nothing is written."""
    with pytest.raises(SystemExit) as error:
        make(digits, tmp_path / 'd', *args.split())
    err = capsys.readouterr().err
    assert error.value.code == 2
    assert err.count('error:') == 1 and message in err and args.split()[0] in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('module', 'package'), [('sklearn', 'scikit-learn'), ('skimage', 'scikit-image')]
)
def test_missing_package(monkeypatch, module, package):
    """Without a package the tool says which one is missing and how to get it."""
    for name in [name for name in sys.modules if name.split('.')[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as error:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert str(error.value).startswith(f'{package} is not installed')
    assert 'pip install hardnet_mm[test]' in str(error.value)


def test_missing_photograph(digits, tmp_path, monkeypatch):
    """A scikit-image without one of the photographs is named in one sentence."""
    monkeypatch.setitem(digits.PHOTOS, 'val', ['nowhere.png'])
    with pytest.raises(SystemExit, match='installed without .*nowhere.png'):
        make(digits, tmp_path / 'd')
    assert not list(tmp_path.iterdir())
