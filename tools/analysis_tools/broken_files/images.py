"""Images that are broken, or as photographs rarely are."""

import io

import numpy as np
from PIL import Image

from .cases import Case, noise

PREDICTED = '1 images, '


def picture(size=(64, 64)):
    """Return an image of noise, of Pillow."""
    return Image.fromarray(noise(0, size))


def saved(image, name, **kwargs):
    """Return what writes an image to a path."""

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
    """Write a text under an image's name."""
    path = path.with_name('text.png')
    path.write_text('no image')
    return path


def bomb(path):
    """Write a PNG of a few kB, of 30000 x 30000 pixels."""
    path = path.with_name('bomb.png')
    Image.new('1', (30000, 30000)).save(path)
    return path


def deep(path):
    """Write a PNG of 16 bits."""
    path = path.with_name('deep.png')
    Image.fromarray(noise()[..., 0].astype(np.uint16) * 257).save(path)
    return path


def turned(path):
    """Write a JPEG whose EXIF says that it is turned by 90 degrees."""
    path = path.with_name('turned.jpg')
    image = picture((48, 64))
    exif = image.getexif()
    exif[274] = 6
    image.save(path, exif=exif)
    return path


def animated(path):
    """Write a GIF of three frames."""
    path = path.with_name('animated.gif')
    frames = [Image.fromarray(noise(i)) for i in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


# What is wrong, what makes it, and whether it is an image
FILES = [
    ('a JPEG cut off in the middle', cut_jpeg, False),
    ('0 bytes', empty, False),
    ('a text', text, False),
    ('1 x 1 pixel', saved(lambda: picture((1, 1)), 'one.png'), True),
    ('20000 x 20 pixels', saved(lambda: picture((20, 20000)), 'wide.png'), True),
    ('16 bits, grey', deep, True),
    ('CMYK', saved(lambda: picture().convert('CMYK'), 'cmyk.jpg'), True),
    ('grey', saved(lambda: picture().convert('L'), 'grey.png'), True),
    ('with alpha', saved(lambda: picture().convert('RGBA'), 'alpha.png'), True),
    ('a palette', saved(lambda: picture().convert('P'), 'palette.png'), True),
    ('turned by its EXIF', turned, True),
    ('animated', animated, True),
    ('a PNG of 110 kB and 900 million pixels', bomb, False),
]


def predicted(make):
    """Return what predicts on an image."""
    return lambda shop: shop.predict(make(shop.file('image')))


def in_data(make, tool):
    """Return what trains or tests on an image."""

    def command(shop):
        path = make(shop.file('image'))

        def change(content):
            for image in content['images']:
                image['file_name'] = str(path)
            with_size = Image.open(path).size if path.suffix and is_readable(path) else (64, 64)
            for image in content['images']:
                image['width'], image['height'] = with_size

        name = shop.annotate(f'{path.stem}.json', change).name
        return getattr(shop, tool)(annotations=name)

    return command


def is_readable(path):
    """Tell whether Pillow knows an image's size."""
    try:
        Image.open(path)
    except (OSError, Image.DecompressionBombError):
        return False
    return True


CASES = [
    *(
        Case(
            f'{name}; predict.py',
            predicted(make),
            0 if whole else 1,
            PREDICTED if whole else 'skipped: .*(cut off or damaged|no image that OpenCV can read)',
        )
        for name, make, whole in FILES
    ),
    *(
        Case(
            f'{name}; {tool}.py',
            in_data(make, tool),
            0 if whole else 2,
            result if whole else 'error: ',
        )
        for tool, result in (('test', 'bbox_mAP'), ('train', r'Epoch\(train\)|Saving checkpoint'))
        for name, make, whole in FILES
    ),
]
