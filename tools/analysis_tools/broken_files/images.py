"""Images that are broken, or of an unusual kind."""

import io
import os

import numpy as np
from PIL import Image

from .cases import Case, noise

PREDICTED = '1 images(?=, )'


def picture(size=(64, 64)):
    """Return a Pillow image of noise."""
    return Image.fromarray(noise(0, size))


def saved(image, name, **kwargs):
    """Return a function that writes an image to a path."""

    def write(path):
        image().save(path.with_name(name), **kwargs)
        return path.with_name(name)

    return write


def cut_jpeg(path):
    """Write the first half of a JPEG."""
    whole = io.BytesIO()
    picture().save(whole, 'JPEG')
    path = path.with_name('cut.jpg')
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    return path


def empty(path):
    """Write a file of 0 bytes."""
    path = path.with_name('empty.jpg')
    path.write_bytes(b'')
    return path


def text(path):
    """Write text to a file with an image's suffix."""
    path = path.with_name('text.png')
    path.write_text('no image')
    return path


def bomb(path):
    """Write a PNG of a few kB with 30000 x 30000 pixels."""
    path = path.with_name('bomb.png')
    Image.new('1', (30000, 30000)).save(path)
    return path


def deep(path):
    """Write a PNG with 16 bits per channel."""
    path = path.with_name('deep.png')
    Image.fromarray(noise()[..., 0].astype(np.uint16) * 257).save(path)
    return path


def turned(path):
    """Write a JPEG whose EXIF data rotates it by 90 degrees."""
    path = path.with_name('turned.jpg')
    image = picture((48, 64))
    exif = image.getexif()
    exif[274] = 6
    image.save(path, exif=exif)
    return path


def animated(path):
    """Write a GIF with three frames."""
    path = path.with_name('animated.gif')
    frames = [Image.fromarray(noise(i)) for i in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


def pipe(path):
    """Create a pipe to which nobody writes, with an image's suffix."""
    path = path.with_name('pipe.png')
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def zeros(path):
    """Create a link to /dev/zero, which has no end."""
    path = path.with_name('zeros.png')
    path.unlink(missing_ok=True)
    path.symlink_to('/dev/zero')
    return path


def sparse(path):
    """Create a sparse file of 10 GB that begins as a JPEG."""
    path = path.with_name('sparse.jpg')
    with open(path, 'wb') as file:
        file.write(b'\xff\xd8\xff')
        file.truncate(10**10)
    return path


REFUSED = 'cannot be read as an image|is a pipe or a device|does not fit into the memory'
# What is wrong, what makes it, whether predict.py takes it for an image, and what the toolboxes do
FILES = [
    ('a truncated JPEG', cut_jpeg, False, None),
    ('0 bytes', empty, False, None),
    ('text', text, False, None),
    ('a pipe', pipe, False, None),
    ('a link to /dev/zero', zeros, False, None),
    ('a sparse file of 10 GB', sparse, False, None),
    ('1 x 1 pixel', saved(lambda: picture((1, 1)), 'one.png'), True, ''),
    ('20000 x 20 pixels', saved(lambda: picture((20, 20000)), 'wide.png'), True, ''),
    ('16-bit grey', deep, True, 'read as 8 bits'),
    ('CMYK', saved(lambda: picture().convert('CMYK'), 'cmyk.jpg'), True, 'read as BGR'),
    ('grey', saved(lambda: picture().convert('L'), 'grey.png'), True, 'read as BGR'),
    ('with alpha', saved(lambda: picture().convert('RGBA'), 'alpha.png'), True, 'without it'),
    ('a palette', saved(lambda: picture().convert('P'), 'palette.png'), True, 'read as BGR'),
    ('rotated by its EXIF', turned, True, 'rotated upright'),
    ('animated', animated, True, 'the first frame'),
]
LARGE = ('a PNG of 110 kB and 900 million pixels', bomb)


def predicted(make):
    """Return a command that predicts on an image."""
    return lambda shop: shop.predict(make(shop.file('image')))


def in_data(make, tool):
    """Return a command that trains or tests on an image."""

    def command(shop):
        path = make(shop.file('image'))

        def change(content):
            for image in content['images']:
                image['file_name'] = str(path)
            width, height = Image.open(path).size if is_readable(path) else (64, 64)
            for image in content['images']:
                image.update(width=width, height=height)
            for annotation in content['annotations']:
                annotation['bbox'] = [0, 0, width, height]

        name = shop.annotate(f'{path.stem}.json', change).name
        return getattr(shop, tool)(annotations=name)

    return command


def is_readable(path):
    """Return whether Pillow can read an image's size."""
    if path.is_fifo() or path.is_symlink() or path.stat().st_size > 10**9:
        return False
    try:
        Image.open(path)
    except (OSError, Image.DecompressionBombError):
        return False
    return True


def named(name, tool, words):
    """Return a case's name: the fault, the toolboxes' behaviour, and the tool."""
    return f'{name}{": " if words else ""}{words or ""}; {tool}.py'


SKIPPED = 'skipped: .*(cut off or damaged|cannot be read as an image|a device|into the memory)'
CASES = [
    *(
        Case(
            named(name, 'predict', words if whole else ''),
            predicted(make),
            0 if whole else 1,
            PREDICTED if whole else SKIPPED,
        )
        for name, make, whole, words in [*FILES, (*LARGE, False, '')]
    ),
    *(
        Case(
            named(name, tool, words),
            in_data(make, tool),
            2 if words is None else 0,
            REFUSED if words is None else result,
        )
        for tool, result in (('test', 'bbox_mAP'), ('train', 'Saving checkpoint'))
        for name, make, _, words in FILES
    ),
]
