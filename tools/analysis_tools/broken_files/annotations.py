"""Annotations in COCO's format that are missing, contradict themselves, or claim too much."""

from .cases import ROOT, Case

CENTERNET = ROOT / 'configs/digits/centernet_hardnet_digits.py'
TRAINS = 'Saving checkpoint'


def changed(name, change, tool='train', **kwargs):
    """Return a command that trains or tests on annotations that a function changed."""

    def command(shop):
        shop.annotate(f'{name}.json', change)
        return getattr(shop, tool)(annotations=f'{name}.json', **kwargs)

    return command


def boxes(*values):
    """Return a function that sets the annotations' boxes."""

    def change(content):
        for annotation, box in zip(content['annotations'], values * 2):
            annotation['bbox'] = list(box)

    return change


def first(**values):
    """Return a function that changes the first annotation."""
    return lambda content: content['annotations'][0].update(values)


def _twice(key):
    return lambda content: content[key].append(dict(content[key][0]))


def _all_but(key):
    return lambda content: content.pop(key) and None


GIANT = dict(size=[200_000, 200_000], counts=[0, 40_000_000_000])
NAN, INFINITE = float('nan'), float('inf')

CASES = [
    Case('no file; train.py', lambda s: s.train(annotations='no.json'), 2, 'No such file'),
    Case('an empty file; train.py', changed('empty', lambda _: ' '), 2, 'error: .*empty.json'),
    Case('truncated; train.py', changed('cut', lambda _: '{"images": ['), 2, 'error: .*cut.json'),
    Case('a list; train.py', changed('list', lambda _: '[]'), 2, 'error: .*list.json'),
    Case('no images in it; train.py', changed('noimages', _all_but('images')), 2, 'noimages.json'),
    Case('no categories; train.py', changed('nocats', _all_but('categories')), 2, 'nocats.json'),
    Case(
        'no annotations: mmdet leaves out images without boxes; train.py',
        changed('none', lambda content: content.update(annotations=[])),
        2,
        'there is no image in the CocoDataset of .*none.json',
    ),
    Case(
        'an unknown category: ignored, as by mmdet; train.py',
        changed('cat', first(category_id=77)),
        0,
        '1 annotations are of categories that are not listed: left out',
    ),
    Case(
        'of an image that is not listed: ignored, as by mmdet; train.py',
        changed('img', first(image_id=77)),
        0,
        '1 annotations are of images that are not listed: left out',
    ),
    Case(
        'two annotations with one id; train.py',
        changed('twice', _twice('annotations')),
        2,
        'twice.json',
    ),
    Case('an image listed twice; train.py', changed('images', _twice('images')), 2, 'images.json'),
    Case(
        'a category listed twice; train.py', changed('cats', _twice('categories')), 2, 'cats.json'
    ),
    Case('boxes with NaN; train.py', changed('nan', boxes([8, 8, NAN, 9])), 2, 'nan.json'),
    Case(
        'boxes with infinity; train.py', changed('inf', boxes([8, 8, INFINITE, 9])), 2, 'inf.json'
    ),
    Case(
        'a box of three numbers; train.py', changed('three', first(bbox=[1, 2, 3])), 2, 'three.json'
    ),
    Case('a box of words; train.py', changed('words', first(bbox=list('abcd'))), 2, 'words.json'),
    Case(
        'no box; train.py',
        changed('nobox', lambda c: c['annotations'][0].pop('bbox') and None),
        2,
        'nobox.json',
    ),
    Case(
        'a box of negative size: ignored, as by mmdet; train.py',
        changed('negative', first(bbox=[30, 30, -8, -8])),
        0,
        TRAINS,
    ),
    Case(
        'a giant box: clipped to the image, as by mmdet; train.py',
        changed('giant', first(bbox=[-1e9, -1e9, 2e9, 2e9])),
        0,
        TRAINS,
    ),
    Case(
        'a run-length code of 40 billion pixels; train.py, CenterNet',
        changed('rle', first(segmentation=GIANT), config=CENTERNET),
        2,
        'rle.json',
    ),
    Case(
        'an invalid run-length code; train.py, CenterNet',
        changed('rle2', first(segmentation=dict(size=[64, 64], counts='~~~~')), config=CENTERNET),
        2,
        'rle2.json',
    ),
    Case(
        'a run-length code without an end; train.py, CenterNet',
        changed(
            'rle3', first(segmentation=dict(size=[64, 64], counts='o' * 10**6)), config=CENTERNET
        ),
        2,
        'rle3.json',
    ),
    Case(
        'a run-length code with a negative run; train.py, CenterNet',
        changed(
            'rle4', first(segmentation=dict(size=[64, 64], counts=[-5, 4101])), config=CENTERNET
        ),
        2,
        'rle4.json',
    ),
    Case(
        'a polygon of a billion pixels, at which pycocotools crashes; train.py, CenterNet',
        changed('long', first(segmentation=[[0, 0, 1e9, 0, 1e9, 1e9]]), config=CENTERNET),
        2,
        'long.json',
    ),
    Case(
        'a polygon with NaN; train.py, CenterNet',
        changed('nanpolygon', first(segmentation=[[NAN] * 8]), config=CENTERNET),
        2,
        'nanpolygon.json',
    ),
    Case('no file; test.py', lambda s: s.test(annotations='no.json'), 2, 'No such file'),
    Case('boxes with NaN; test.py', changed('nan', boxes([8, 8, NAN, 9]), 'test'), 2, 'nan.json'),
    Case(
        'an unknown category: ignored, as by mmdet; test.py',
        changed('cat', first(category_id=77), 'test'),
        0,
        '1 annotations are of categories that are not listed: left out',
    ),
    Case(
        'two annotations with one id; test.py',
        changed('twice', _twice('annotations'), 'test'),
        2,
        'twice.json',
    ),
]
