"""Checks annotations in COCO's format before a data set uses them."""

import math
from collections import Counter
from numbers import Integral, Real

import numpy as np
from mmengine.logging import print_log

from .errors import InputError

LARGEST_SHIFT = 60  # bits of a run's length in COCO's text
LONGEST = 1e7  # pixels of a polygon's outline
LARGEST = 2**53  # of a box


def check_annotations(content):
    """Refuse annotations that would be misread, or would raise an error that names no file.

    Boxes without area or outside their image are allowed, since mmdet ignores them. Annotations of
    unlisted images and categories are ignored, too, and the log has their number.

    Args:
        content (dict): Content of the file.

    Raises:
        InputError: If the format is wrong, an id is used twice, or a box, a polygon or a run-length
            code is impossible for its image.
    """
    if not isinstance(content, dict):
        raise InputError(f'it must hold a dict, and holds a {type(content).__name__}')
    images = _by_id(content, 'images')
    categories = _by_id(content, 'categories')
    for image in images.values():
        _check_image(image)
    for number, category in categories.items():
        if 'name' not in category:
            raise InputError(f'category {number} has no name')
    unknown = Counter()
    for annotation in _by_id(content, 'annotations', []).values():
        image = images.get(annotation.get('image_id'))
        unknown['images'] += image is None
        unknown['categories'] += annotation.get('category_id') not in categories
        if image is not None and not annotation.get('ignore'):
            _check_annotation(annotation, image)
    for kind, count in unknown.items():
        if count:
            print_log(f'{count} annotations are of {kind} that are not listed: left out', 'current')


def _by_id(content, key, default=None):
    entries = content.get(key, default)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f'{key!r} in it must be a list of dicts')
    found = {}
    for entry in entries:
        number = entry.get('id')
        if not isinstance(number, (int, str)):
            raise InputError(f'an entry of {key!r} has no id: {_short(entry)}')
        if number in found:
            raise InputError(f'two entries of {key!r} have the id {number}')
        found[number] = entry
    return found


def _check_image(image):
    sizes = [image.get(key) for key in ('height', 'width')]
    if not isinstance(image.get('file_name'), str) or not all(
        isinstance(size, Real) and 0 < size < math.inf for size in sizes
    ):
        raise InputError(f'image {image["id"]} must have a file_name, a height and a width')


def _check_annotation(annotation, image):
    box = annotation.get('bbox')
    if not isinstance(box, (list, tuple)) or len(box) != 4 or not all(map(_is_finite, box)):
        raise InputError(
            f'annotation {annotation["id"]} must have a bbox of four finite numbers, got {box}'
        )
    if not _is_finite(annotation.get('area')):
        raise InputError(
            f'annotation {annotation["id"]} must have an area, a finite number, got '
            f'{annotation.get("area")}'
        )
    mask = annotation.get('segmentation')
    if isinstance(mask, dict):
        _check_run_lengths(annotation['id'], mask, image)
    elif isinstance(mask, list):
        for polygon in mask:
            _check_polygon(annotation['id'], polygon)


def _check_polygon(number, polygon):
    """Refuse a polygon for which pycocotools would crash: it stores each point of the outline."""
    if not isinstance(polygon, list) or not polygon:  # left to what loads masks
        return
    try:
        finite = math.isfinite(sum(polygon))
    except TypeError as error:
        raise InputError(f'annotation {number} has a polygon that is not of numbers') from error
    if not finite:
        raise InputError(f'annotation {number} has a polygon with a number that is not finite')
    low, high = min(polygon), max(polygon)
    # a bound that is quick to compute, before the length itself
    if max(high, -low) > LONGEST or (high - low) * len(polygon) > LONGEST < _length(polygon):
        raise InputError(
            f'annotation {number} has a polygon from {low:g} to {high:g}, and its outline may have '
            f'{LONGEST:.0e} pixels'
        )


def _length(polygon):
    """Return the length of an outline in pixels, of each edge the longer side."""
    points = np.reshape(polygon[: len(polygon) // 2 * 2], (-1, 2))
    return np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum()


def _check_run_lengths(number, mask, image):
    """Refuse a run-length code of another size than the image's, before memory is allocated."""
    size = [image['height'], image['width']]
    if mask.get('size') != size:
        raise InputError(
            f'annotation {number} has a run-length code of size {mask.get("size")}, and its image '
            f'is of {size}'
        )
    counts = mask.get('counts')
    try:
        counts = counts if isinstance(counts, list) else _decoded(counts)
        length = sum(counts)
    except (TypeError, IndexError, AttributeError) as error:
        raise InputError(f'annotation {number} has no valid run-length code') from error
    if not all(isinstance(count, Integral) and count >= 0 for count in counts):
        raise InputError(f'annotation {number} has a run-length code with a run of no length')
    if length != size[0] * size[1]:
        raise InputError(
            f'annotation {number} has a run-length code of {length} pixels, and its image has '
            f'{size[0] * size[1]}'
        )


def _decoded(text):
    """Return the run lengths of COCO's compressed text (rleFrString of pycocotools)."""
    codes = text if isinstance(text, bytes) else text.encode()
    counts, place = [], 0
    while place < len(codes):
        value, shift, more = 0, 0, True
        while more:
            if shift > LARGEST_SHIFT:
                raise IndexError('a run longer than any image')
            code = codes[place] - 48
            value |= (code & 31) << shift
            more = bool(code & 32)
            place, shift = place + 1, shift + 5
        if code & 16:
            value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def _is_finite(number):
    """Return whether it is a number, not NaN, that float64 and int64 hold."""
    return isinstance(number, Real) and abs(number) <= LARGEST


def _short(entry):
    text = str(entry)
    return text if len(text) < 80 else f'{text[:77]}...'
