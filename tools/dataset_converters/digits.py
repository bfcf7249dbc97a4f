"""Make a small real dataset, without any download, for detection, segmentation and classification.

The handwritten digits inside scikit-learn (1797 images of 8x8) are pasted onto crops of the
photographs inside scikit-image. Train and val share no digit sample and no photograph, whatever
the seed. Every image has its own random generator, seeded by (seed, split, kind, index), so the
same arguments give the same bytes, and fewer images are a prefix of more images.
"""

import argparse
import functools
import json
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmengine.utils import track_iter_progress

try:
    import skimage
    from sklearn.datasets import load_digits
except ImportError as error:
    package = str(error.name).split('.')[0].replace('sklearn', 'scikit-learn')
    package = package.replace('skimage', 'scikit-image')
    raise SystemExit(
        f'{package} is not installed: `pip install hardnet_mm[test]` brings it.'
    ) from None

# Both motorcycle views show one scene, so they stay in one split.
PHOTOS = {
    'train': 'astronaut.png brick.png camera.png cell.png coffee.png coins.png grass.png '
    'hubble_deep_field.jpg ihc.png motorcycle_left.png motorcycle_right.png'.split(),
    'val': 'chelsea.png gravel.png moon.png retina.jpg rocket.jpg'.split(),
}
SPLITS = ('train', 'val')
TASKS = ('detection', 'segmentation', 'classification')
SCENES, CROPS = 0, 1  # the two kinds of images, as a part of each image's seed
MARKER = 'digits.json'  # with the signature inside, the mark of a folder made by this tool
SIGNATURE = 'made by tools/dataset_converters/digits.py'
OUTPUTS = {'annotations', 'train', 'val', 'masks', 'crops', MARKER}
MIN_DIGIT = 8  # pixels: the digits themselves have only 8x8
MIN_CONTRAST = 100  # grey levels between the ink and the bulk of the photograph behind it
MIN_INK = 200  # grey level of the darkest ink
GAP = 4  # pixels between two boxes, across or down
PLACE_TRIES = 40  # positions tried for a digit before it is left out
BGR_TO_GREY = np.array([0.114, 0.587, 0.299], np.float32)


@dataclass
class Split:
    """The name ('train' or 'val') of a split and what its images are made from."""

    name: str
    photos: dict  # file name to uint8 BGR array (height, width, 3)
    samples: np.ndarray  # int (num_samples,), this split's positions in grids and labels
    grids: np.ndarray  # float32 (1797, 8, 8) in 0..1, ink is 1; the samples of both splits
    labels: np.ndarray  # int (1797,) in 0..9


def split_samples(labels):
    """Split int labels (num_samples,) into {'train', 'val'} of sorted positions, int arrays.

    Every fifth sample of every class is val. Samples are ordered by writer, so that both splits
    contain every handwriting.
    """
    val = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        val[np.flatnonzero(labels == label)[4::5]] = True
    return {'train': np.flatnonzero(~val), 'val': np.flatnonzero(val)}


def read_photo(name):
    """Read a photograph of scikit-image's wheel as a uint8 BGR array (height, width, 3)."""
    path = Path(skimage.__file__).parent / 'data' / name
    if not path.is_file():
        raise SystemExit(f'scikit-image {skimage.__version__} is installed without {path}.')
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)


def load_splits():
    """Load the digits and photographs of both splits as {'train': Split, 'val': Split}."""
    digits, splits = load_digits(), {}
    grids, samples = (digits.images / 16).astype(np.float32), split_samples(digits.target)
    for name in SPLITS:
        photos = {photo: read_photo(photo) for photo in PHOTOS[name]}
        splits[name] = Split(name, photos, samples[name], grids, digits.target)
    return splits


def crop_photo(photo, size, rng):
    """Cut, scale, mirror and darken a random part of a photo to float32 (height, width, 3)."""
    height, width = size
    zoom = min(rng.uniform(0.6, 1.8), photo.shape[0] / height, photo.shape[1] / width)
    cut_height, cut_width = int(height * zoom), int(width * zoom)
    top = rng.integers(photo.shape[0] - cut_height + 1)
    left = rng.integers(photo.shape[1] - cut_width + 1)
    cut = photo[top : top + cut_height, left : left + cut_width]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    way = cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR
    cut = cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=way)
    return cut.astype(np.float32) * rng.uniform(0.25, 0.6)  # darker than any ink


def render_digit(grid, height, rng):
    """Draw a digit with smooth strokes, slightly rotated, sheared and of random stroke width.

    Args:
        grid: float32 (8, 8), 0 to 1.
        height: Height of the result in pixels.
        rng: NumPy's random generator.

    Returns:
        The ink's opacity, float32 (height, width), 0 to 1, cropped to the ink. It is never wider
        than high.
    """
    side = 140  # 14 cells of 10 pixels: 3 empty cells all around leave room for the rotation
    grid = cv2.copyMakeBorder(grid, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=0)
    grey = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-4, 4), 1)
    turn[0] += rng.uniform(-0.05, 0.05) * (turn[1] - (0, 0, side / 2))  # shear
    grey = cv2.warpAffine(grey, turn, (side, side))
    # Between two grey values, the ink goes from transparent to opaque. Lower values make thicker
    # strokes. The gradual change keeps faint details visible, such as the holes of an 8.
    clear, opaque = rng.uniform(0.1, 0.2), rng.uniform(0.7, 0.8)
    visible = grey >= (clear + opaque) / 2
    left, top, ink_width, ink_height = cv2.boundingRect(visible.astype(np.uint8))
    ink = grey[top : top + ink_height, left : left + ink_width]
    width = min(height, max(3, round(ink_width * height / ink_height)))
    way = cv2.INTER_AREA if height < ink_height else cv2.INTER_CUBIC
    ink = cv2.resize(ink, (width, height), interpolation=way)
    return np.clip((ink - clear) / (opaque - clear), 0, 1)


def to_grey(colours):
    """Brightness (...) of float32 BGR colours (..., 3), without BLAS, whose rounding varies."""
    return (colours * BGR_TO_GREY).sum(-1)


def choose_ink(background, rng):
    """Choose a light BGR ink, float32 (3,), that stands out from a background (height, width, 3).

    Returns None if the background is too bright.
    """
    darkest = np.percentile(to_grey(background), 90) + MIN_CONTRAST
    if darkest > 255:
        return None
    target = rng.uniform(max(darkest, MIN_INK), 255)
    colour = rng.uniform(0, 255, 3).astype(np.float32)
    # Mixing with white reaches the wanted grey value exactly and keeps the hue.
    grey = to_grey(colour)
    if grey > target:
        return colour * (target / grey)
    return 255 - (255 - colour) * ((255 - target) / (255 - grey))


def crowds(box, others):
    """Return whether a (top, left, bottom, right) box is closer than GAP to one of the others."""
    if not others:
        return False
    box, others = np.array(box), np.array(others)
    shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return bool((shared > -GAP).all(axis=1).any())


def paste_digit(image, instances, number, grid, boxes, digit_size, rng):
    """Paste a digit, a float32 grid (8, 8), at a free place with enough contrast.

    Three arguments are changed: the digit is drawn on image, float32 BGR (height, width, 3);
    instances, uint16 (height, width), is set to number where the ink is; and the digit's (top,
    left, bottom, right) is appended to boxes, those pasted so far.

    digit_size is the minimum and maximum height. Returns False if there is no free place.
    """
    for _ in range(PLACE_TRIES):
        opacity = render_digit(grid, rng.integers(*digit_size, endpoint=True), rng)
        height, width = opacity.shape
        top = rng.integers(image.shape[0] - height + 1)
        left = rng.integers(image.shape[1] - width + 1)
        box = (top, left, top + height, left + width)
        window = np.s_[top : top + height, left : left + width]
        if crowds(box, boxes) or (ink := choose_ink(image[window], rng)) is None:
            continue
        rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
        light = 1 + rng.uniform(-0.15, 0.15) * rows
        opaque = opacity[..., None] * rng.uniform(0.9, 1)
        image[window] += (ink * light - image[window]) * opaque
        instances[window][opacity >= 0.5] = number
        boxes.append(box)
        return True
    return False


def make_scene(split, samples, size, digit_size, rng):
    """Paste digits (positions in load_digits()) onto a random photograph crop of (height, width).

    Returns:
        uint8 BGR image (height, width, 3); uint16 instances (height, width), 0 for background and
        k + 1 for the visible ink of digit k; the pasted samples, at least one; the photograph's
        file name.
    """
    placed, boxes = [], []
    while not placed:  # repeats with another crop if no digit has a place
        photo = PHOTOS[split.name][rng.integers(len(split.photos))]
        image = crop_photo(split.photos[photo], size, rng)
        instances = np.zeros(size, np.uint16)
        for sample in samples:
            number, grid = len(placed) + 1, split.grids[sample]
            if paste_digit(image, instances, number, grid, boxes, digit_size, rng):
                placed.append(int(sample))
    noise = rng.standard_normal((*size, 1), np.float32)  # a camera's grain in dim light
    image = np.clip(np.rint(image + rng.uniform(0, 5) * noise), 0, 255)
    return image.astype(np.uint8), instances, placed, photo


def encode_mask(mask):
    """Encode a bool mask (height, width) as COCO's uncompressed run-length encoding."""
    flat = mask.ravel(order='F')
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    # The first run counts zeros, so a mask that starts with ink has an empty first run.
    return {'size': list(mask.shape), 'counts': [0, *counts] if flat[0] else counts}


def describe_digits(instances, samples, labels, image_id):
    """List the COCO annotations of a scene, numbered from 0; boxes are tight around the ink."""
    annotations = []
    for k, sample in enumerate(samples):
        mask = instances == k + 1
        annotation = {'id': k, 'image_id': image_id, 'iscrowd': 0, 'sample': sample}
        annotation['category_id'] = int(labels[sample]) + 1
        annotation['bbox'] = list(cv2.boundingRect(mask.astype(np.uint8)))
        annotation['area'] = int(mask.sum())
        annotation['segmentation'] = encode_mask(mask)
        annotations.append(annotation)
    return annotations


def write_image(path, image, *params):
    """Write an image in the format of the path's suffix."""
    _, data = cv2.imencode(path.suffix, image, params)
    path.write_bytes(data.tobytes())


def in_parallel(function, count, title):
    """Call a function with each index below count, in a process a core, and yield the results.

    Results come in the order of the indices. The title is printed to stderr, on a terminal with a
    progress bar.
    """
    print(title, file=sys.stderr)
    with ProcessPoolExecutor(initializer=set_work, initargs=(function,)) as pool:
        results = pool.map(work_on, range(count), chunksize=max(1, min(50, count // 8)))
        if sys.stderr.isatty():
            results = track_iter_progress((results, count), file=sys.stderr)
        yield from results


def set_work(function):
    """Send the function to a worker process, once rather than with every index."""
    work_on.function = function


def work_on(index):
    """Call the worker's function with an index."""
    return work_on.function(index)


def write_scene(folder, split, args, i):
    """Write an image with several digits and its semantic mask.

    Returns the image's entry in the COCO file, its annotations, numbered from 0, and the number of
    digits that had no place.
    """
    rng = np.random.default_rng([args.seed, SPLITS.index(split.name), SCENES, i])
    number = rng.integers(*args.digits_per_image, endpoint=True)
    image, instances, samples, photo = make_scene(
        split, rng.choice(split.samples, number), args.image_size, args.digit_size, rng
    )
    write_image(folder / split.name / f'{i:06d}.jpg', image, cv2.IMWRITE_JPEG_QUALITY, 92)
    if 'segmentation' in args.tasks:
        values = np.array([0, *(split.labels[samples] + 1)], np.uint8)
        write_image(folder / 'masks' / split.name / f'{i:06d}.png', values[instances])
    entry = {'id': i + 1, 'file_name': f'{i:06d}.jpg', 'photo': photo}
    entry.update(height=args.image_size[0], width=args.image_size[1])
    return entry, describe_digits(instances, samples, split.labels, i + 1), number - len(samples)


def write_scenes(folder, split, count, args):
    """Write a split's images with several digits, their COCO file and their semantic masks.

    Returns the number of digits pasted, and the number of digits that had no place.
    """
    (folder / split.name).mkdir()
    if 'segmentation' in args.tasks:
        (folder / 'masks' / split.name).mkdir(parents=True)
    images, annotations, left_out = [], [], 0
    make = functools.partial(write_scene, folder, split, args)
    for entry, digits, without_place in in_parallel(make, count, f'{split.name} images'):
        images.append(entry)
        annotations += [{**digit, 'id': len(annotations) + 1 + digit['id']} for digit in digits]
        left_out += int(without_place)
    if 'detection' in args.tasks:
        categories = [{'id': digit + 1, 'name': str(digit)} for digit in range(10)]
        content = {'images': images, 'annotations': annotations, 'categories': categories}
        (folder / 'annotations').mkdir(exist_ok=True)
        (folder / 'annotations' / f'{split.name}.json').write_text(json.dumps(content))
    return len(annotations), left_out


def write_crop(folder, split, args, i):
    """Write an image with one digit, <digit>/<index>_<photo>_<sample>.png; the digit is i % 10."""
    size, members = args.crop_size, split.labels[split.samples]
    rng = np.random.default_rng([args.seed, SPLITS.index(split.name), CROPS, i])
    sample = rng.choice(split.samples[members == i % 10])
    heights = size // 2, size * 17 // 20  # half to 85% of the crop, the rest is context
    image, _, _, photo = make_scene(split, [sample], (size, size), heights, rng)
    write_image(folder / str(i % 10) / f'{i:06d}_{Path(photo).stem}_{sample:04d}.png', image)


def write_crops(folder, split, count, args):
    """Write a split's images with one digit."""
    crops = folder / 'crops' / split.name
    for digit in range(10):
        (crops / str(digit)).mkdir(parents=True)
    make = functools.partial(write_crop, crops, split, args)
    for _ in in_parallel(make, count, f'{split.name} crops'):
        pass


def write_dataset(folder, args):
    """Write the data set to the empty folder, and return a list of sentences about it."""
    splits, report = load_splits(), []
    for name in SPLITS:
        images, crops = getattr(args, f'{name}_images'), getattr(args, f'{name}_crops')
        if {'detection', 'segmentation'} & set(args.tasks):
            pasted, left_out = write_scenes(folder, splits[name], images, args)
            size = '{}x{}'.format(*args.image_size)
            report.append(f'{images} {name} images of {size} with {pasted} digits')
            if left_out:
                report.append(f'{left_out} more digits found no place')
        if 'classification' in args.tasks:
            write_crops(folder, splits[name], crops, args)
            report.append(f'{crops} {name} crops of {args.crop_size}x{args.crop_size}')
    settings = {k: v for k, v in vars(args).items() if k not in ('out_dir', 'overwrite')}
    marker = {'signature': SIGNATURE, 'arguments': settings}
    (folder / MARKER).write_text(json.dumps(marker, indent=2) + '\n')
    return report


def obstacle(folder, overwrite):
    """Return a sentence on why the data set cannot be put at folder, None if it can."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        return f'{folder} is a file, --out-dir must be a folder or a new name'
    names = {path.name for path in folder.iterdir()}
    if not names:
        return None
    if not overwrite:
        return f'{folder} is not empty: choose another --out-dir or pass --overwrite'
    marker = folder / MARKER
    if names <= OUTPUTS and marker.is_file() and SIGNATURE in marker.read_text(errors='replace'):
        return None
    return f'{folder} holds files that this tool did not make, --overwrite leaves it alone'


def put_in_place(new, folder):
    """Rename new to folder. An old folder is moved beside new first, and back if that fails."""
    old = new.with_name('old')
    try:
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise


def positive_int(text):
    """Parse an int of at least 1."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not allowed, it must be at least 1')
    return int(text)


def parse_args(argv=None):
    """Parse and check the arguments; image_size becomes [height, width], out_dir a Path."""
    parser = argparse.ArgumentParser(
        description='Make a small data set of handwritten digits on photographs, no download.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    size = {'type': positive_int, 'nargs': 2, 'metavar': ('MIN', 'MAX')}
    add('--out-dir', default='data/digits', help='folder to make')
    add('--train-images', type=positive_int, default=2400, help='training images')
    add('--val-images', type=positive_int, default=200, help='validation images')
    add('--image-size', type=positive_int, nargs='+', default=[192], help='side, or height width')
    add('--digits-per-image', **size, default=[3, 7], help='number of digits in an image')
    add('--digit-size', **size, default=[32, 72], help='height of a digit in pixels')
    add('--train-crops', type=positive_int, default=16000, help='training images of one digit')
    add('--val-crops', type=positive_int, default=1000, help='validation images of one digit')
    add('--crop-size', type=positive_int, default=48, help='side of the images of one digit')
    add('--seed', type=int, default=0, help='seed of everything but the train/val split')
    add('--tasks', nargs='+', choices=TASKS, default=list(TASKS), help='what to write')
    add('--overwrite', action='store_true', help='replace what an earlier run of this tool made')
    args = parser.parse_args(argv)
    if len(args.image_size) > 2:
        parser.error('--image-size takes one or two numbers: height width')
    args.image_size = [args.image_size[0], args.image_size[-1]]
    args.out_dir = Path(args.out_dir).expanduser().resolve()
    shorter, area = min(args.image_size), args.image_size[0] * args.image_size[1]
    (fewest, most), (least, greatest) = args.digits_per_image, args.digit_size
    blocked = obstacle(args.out_dir, args.overwrite)
    for wrong, message in (
        (fewest > most, f'--digits-per-image {fewest} {most}: MIN must not exceed MAX'),
        (least > greatest, f'--digit-size {least} {greatest}: MIN must not exceed MAX'),
        (least < MIN_DIGIT, f'--digit-size {least}: MIN must be at least {MIN_DIGIT}'),
        (greatest > shorter, f'--digit-size {greatest}: MAX must be at most {shorter}, the image'),
        (most * least**2 > area, f'--digits-per-image {most}: too many for the image, lower MAX'),
        (args.crop_size < 2 * MIN_DIGIT, f'--crop-size must be at least {2 * MIN_DIGIT}'),
        (args.train_crops < 10, '--train-crops must be at least 10, one of each digit'),
        (args.val_crops < 10, '--val-crops must be at least 10, one of each digit'),
        (args.seed < 0, '--seed must not be negative'),
        (blocked, blocked),
    ):
        if wrong:
            parser.error(message)
    return args


def main(argv=None):
    """Make the data set in a folder beside --out-dir, which is renamed when it is complete."""
    args, start = parse_args(argv), time.time()
    args.out_dir.parent.mkdir(parents=True, exist_ok=True)
    prefix = f'{args.out_dir.name}.part-'
    with tempfile.TemporaryDirectory(prefix=prefix, dir=args.out_dir.parent) as temporary:
        new = Path(temporary) / 'new'
        new.mkdir()
        report = write_dataset(new, args)
        if blocked := obstacle(args.out_dir, args.overwrite):  # another run may have been faster
            raise SystemExit(blocked)
        put_in_place(new, args.out_dir)
    files = [path.stat().st_size for path in args.out_dir.rglob('*') if path.is_file()]
    size = f'{len(files)} files, {sum(files) / 1e6:.1f} MB, {time.time() - start:.0f} s'
    print(f'{args.out_dir}: {", ".join(report)}; {size}.')


if __name__ == '__main__':
    main()
