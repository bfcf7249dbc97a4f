import io

import numpy as np
import pytest
from PIL import Image

from hardnet_mm.seg.binary_masks import decode_mask
from hardnet_mm.utils.errors import InputError

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


@pytest.fixture(scope='module')
def disk():
    y, x = np.mgrid[:48, :64]
    return np.hypot(y - 20, x - 30) < 12


def encoded(image, kind='PNG', **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(image, kind='PNG', foreground=None, **options):
    return decode_mask(encoded(image, kind, **options), 'mask.png', foreground)


def grey(values):
    return Image.fromarray(np.asarray(values, np.uint8))


def coloured(mask, colour, alpha=None):
    values = mask[..., None] * np.array(colour, np.uint8)
    if alpha is not None:
        values = np.concatenate([values, np.full((*mask.shape, 1), alpha, np.uint8)], axis=2)
    return Image.fromarray(values.astype(np.uint8))


def palette(indices):
    image = Image.fromarray(indices.astype(np.uint8), mode='P')
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, *[0] * 759])
    return image


@pytest.mark.parametrize(
    'image',
    [
        lambda disk: grey(disk * 255),
        lambda disk: grey(disk * 1),
        lambda disk: Image.fromarray(disk),  # of one bit
        lambda disk: Image.fromarray((disk * 65535).astype(np.uint16)),
        lambda disk: coloured(disk, WHITE),
        lambda disk: coloured(disk, RED),
        lambda disk: coloured(disk, WHITE, alpha=255),
        lambda disk: coloured(disk, (1, 1, 1)),
        lambda disk: grey(disk * 255).convert('LA'),
        lambda disk: palette(disk),  # of a dark red
    ],
    ids='grey classes bit 16 white red alpha class-colours LA palette'.split(),
)
@pytest.mark.parametrize('kind', ['PNG', 'TIFF'])
def test_every_coding_is_the_same_mask(disk, image, kind):
    mask = decoded(image(disk), kind)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, disk * 255)


@pytest.mark.parametrize('colour', [WHITE, RED])
@pytest.mark.parametrize('again', [False, True])
def test_noise_of_a_jpeg_file_is_no_class(disk, colour, again):
    """Kvasir's masks have values of 0 to 7 and 248 to 255, wherever they are stored later."""
    content = encoded(coloured(disk, colour), 'JPEG', quality=95)
    if again:
        content = encoded(Image.open(io.BytesIO(content)))
    mask = decode_mask(content, 'mask.jpg')
    assert len(np.unique(mask)) > 2
    assert np.mean((mask > 128) == disk) > 0.99


def test_an_empty_mask_is_one(disk):
    for kind in ('PNG', 'JPEG'):
        assert not decoded(grey(disk * 0), kind).any()
    assert decoded(grey(disk * 0 + 255)).all()
    assert not decoded(grey(disk * 7), 'JPEG').max() > 128  # noise of an empty one


def test_soft_edges_stay_soft(disk):
    y, x = np.mgrid[:48, :64]
    soft = np.clip(128 - 40 * (np.hypot(y - 20, x - 30) - 12), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(decoded(grey(soft)), soft)


@pytest.mark.parametrize(
    'image, words',
    [
        (lambda disk, other: grey(disk + 2 * other), 'values up to 2, and none above 128'),
        (
            lambda disk, other: grey(disk * 255 + other * 127),
            r'areas of.* \[0, 127, 255\]',
        ),
        (lambda disk, other: grey(disk + other * 255), r'areas of.* \[0, 1, 255\]'),
        (lambda disk, other: palette(disk + 2 * other), r'uses the colours \[0, 1, 2\]'),
        (
            lambda disk, other: Image.fromarray(
                disk[..., None] * np.uint8(RED) + other[..., None] * np.uint8(GREEN)
            ),
            'several colours',
        ),
    ],
)
def test_several_classes_are_refused(disk, image, words):
    other = np.roll(disk, 30, axis=1) & ~disk
    with pytest.raises(InputError, match=rf'mask.png .*{words}.*foreground='):
        decoded(image(disk, other))


def test_classes_that_are_foreground_are_chosen(disk):
    other = np.roll(disk, 30, axis=1) & ~disk
    image = grey(disk * 3 + other * 7)
    np.testing.assert_array_equal(decoded(image, foreground=[3]), disk * 255)
    np.testing.assert_array_equal(decoded(image, foreground=[3, 7]), (disk | other) * 255)
    for wrong, kind in ((image, 'JPEG'), (coloured(disk, WHITE), 'PNG')):
        with pytest.raises(InputError, match='needs numbers of classes'):
            decoded(wrong, kind, foreground=[3])


def test_what_is_no_image_is_refused(disk, monkeypatch):
    whole = encoded(grey(disk * 255))
    width = b'\x00\x01\x04\x00\x01\x00\x00\x00'  # the tag in a TIFF, a number of 32 bits
    tiff = encoded(grey(disk * 255), 'TIFF')
    assert width + b'\x40' in tiff
    narrow = tiff.replace(width + b'\x40', width + b'\x00')
    for content in (b'none', b'', whole[: len(whole) // 2], narrow):
        with pytest.raises(InputError, match='mask.png cannot be read as an image: .'):
            decode_mask(content, 'mask.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 9)
    with pytest.raises(InputError, match='mask.png cannot be read as an image: .*bomb'):
        decode_mask(whole, 'mask.png')
