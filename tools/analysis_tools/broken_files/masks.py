"""Masks that cannot be decoded, or are not of their image or classes."""

import numpy as np
from PIL import Image

from .cases import ROOT, SIDE, Case, noise
from .images import bomb, empty, text

SEGMENTORS = dict(
    mmseg=ROOT / 'configs/digits/fchardnet70_digits.py',
    binary=ROOT / 'configs/digits/mseg_hardnet_digits.py',
)


def labels(largest=10, size=(SIDE, SIDE)):
    """Return a mask ``(H, W)`` uint8 of rectangles of class 0 and the largest."""
    mask = np.zeros(size, np.uint8)
    mask[: SIDE // 2, : SIDE // 2] = largest
    return mask


def saved(mask, **kwargs):
    """Return a function that writes a mask as PNG."""
    return lambda path: Image.fromarray(mask).save(path, **kwargs)


def cut_png(path):
    """Write the first half of a PNG."""
    saved(noise()[..., 0])(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def segmented(make, tool, kind):
    """Return a command that trains or tests on a mask, and on a good one of another image."""

    def command(shop):
        folder = shop.new_folder()
        for number in range(2):
            saved(labels())(folder / f'{number}.png')
        made = make(folder / '0.png')
        if made is not None:  # an image's function, which chooses the name itself
            made.rename(folder / '0.png')
        return shop.segment(tool, SEGMENTORS[kind], folder)

    return command


def missing(path):
    """Delete the mask."""
    path.unlink()


UNREADABLE = r'0\.png cannot be read as an image'
TRAINS = 'Saving checkpoint'
FILES = [
    ('truncated', cut_png, UNREADABLE),
    ('0 bytes', empty, UNREADABLE),
    ('text', text, UNREADABLE),
    ('900 million pixels', bomb, UNREADABLE),
    ('no file', missing, r'0\.png|has no mask of 1 names, 0'),
    ('in colours', saved(noise()), r'0\.png (has 3 channels|is PNG with the mode RGB)'),
]
LARGE, OTHER = saved(labels(size=(SIDE, 2 * SIDE))), saved(labels(77))
TOOLS = [
    ('train.py, mmseg', 'train', 'mmseg'),
    ('test.py, mmseg', 'test', 'mmseg'),
    ('train.py, LoadBinaryMask', 'train', 'binary'),
]
CASES = [
    *(
        Case(f'{name}; {words}', segmented(make, tool, kind), 2, wanted)
        for words, tool, kind in TOOLS
        for name, make, wanted in FILES
    ),
    Case(
        "of another size than the image: resized with it, by mmseg's Resize; train.py, mmseg",
        segmented(LARGE, 'train', 'mmseg'),
        0,
        TRAINS,
    ),
    *(
        Case(
            f'of another size than the image; {words}',
            segmented(LARGE, tool, kind),
            2,
            '64 x 128 pixels, and its image .* 64 x 64: they must agree',
        )
        for words, tool, kind in TOOLS[1:]
    ),
    *(
        Case(
            f'of a class that is not listed; {words}',
            segmented(OTHER, tool, kind),
            2,
            r'0\.png has the label 77',
        )
        for words, tool, kind in TOOLS[:2]
    ),
    Case(
        'of a class that is not in foreground: background; train.py, LoadBinaryMask',
        segmented(OTHER, 'train', 'binary'),
        0,
        TRAINS,
    ),
]
