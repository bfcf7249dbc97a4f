"""Images of any size, alone and together, in one thread and in more, from two threads at once."""

import concurrent.futures
import os
import random

import pytest
import torch
from helpers.exported import MODELS, deployed, filled, skip_without
from helpers.small_dfus import SMALL_DFUS
from mmengine.config import Config

from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.writing import export
from hardnet_mm.utils.configs import build_model, read_config
from hardnet_mm.utils.errors import InputError

SEED = 0
# The least, sides that stages halve unevenly, and primes; and images of a batch.
SMALL = [(32, 32, 1), (33, 47, 2), (64, 61, 3), (101, 37, 5)]
GREATEST = (1097, 1091, 1)  # primes
PUBLISHED = [
    *('ssd512_hardnet68_coco', 'rfb512_hardnet68_coco', 'centernet_hardnet85_coco'),
    *('fchardnet70_cityscapes', 'mseg_hardnet68_kvasir', 'hardnet68_imagenet'),
    *('hardnet39ds_imagenet', 'dfus_hardnetv2-53_kvasir'),
]


def sampled(count, low=32, high=1100):
    """Return heights and widths as likely near the least as near the greatest, and batches."""
    draw = random.Random(SEED)

    def side():
        return round(low * (high / low) ** draw.random())

    return [(side(), side(), draw.randint(1, 5)) for _ in range(count)]


def within(pixels, sizes):
    """Return sizes as narrow, and batches as small, as a number of pixels in all asks for."""
    for height, width, batch in sizes:
        width = max(32, min(width, pixels // height))
        yield height, width, max(1, min(batch, pixels // (height * width)))


@pytest.fixture(scope='module')
def small(models):
    def get(name):
        if name == 'dfus':
            return filled(build_model(Config(SMALL_DFUS)))
        return models(name)[0]

    return get


def images_of(height, width, batch):
    generator = torch.Generator().manual_seed(height * 10_000 + width * 10 + batch)
    return torch.randint(0, 256, (batch, 3, height, width), generator=generator).float()


def in_pytorch(model):
    def run(images):
        with torch.no_grad():
            return dict(zip(model.names, model(images)))

    return run


def in_file(runtime):
    def run(images):
        return {name: torch.from_numpy(value) for name, value in runtime(images.numpy()).items()}

    return run


def assert_near(found, wanted, tolerance):
    """As shares of the largest output; sums of other orders differ by rounding."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].shape == value.shape, name
        assert found[name].isfinite().all(), name
        distance = (found[name].double() - value.double()).abs().max()
        assert distance <= tolerance * value.abs().max(), (name, tuple(value.shape), distance)


def assert_same_however_computed(run, images, wanted, tolerance=1e-4):
    """Together, alone, in four threads, and by two callers at once, with an image of its own."""
    together = run(images)
    assert_near(together, wanted, tolerance)
    assert all(len(output) == len(images) for output in together.values())
    for i in {0, len(images) - 1} if len(images) > 1 else ():
        alone = run(images[i : i + 1])
        assert_near(alone, {name: value[i : i + 1] for name, value in together.items()}, tolerance)
    threads = torch.get_num_threads()
    torch.set_num_threads(4 if threads == 1 else 1)
    try:
        assert_near(run(images), together, tolerance)
    finally:
        torch.set_num_threads(threads)
    other = images.flip(3)
    wanted_of_other = run(other)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run, [images, other]))
    assert_near(found[0], together, tolerance)
    assert_near(found[1], wanted_of_other, tolerance)


def allowed(name, height, width):
    """Return the size that a preprocessor makes of one: the windows of DFUS are of 64 pixels."""
    if name.startswith('dfus'):
        return tuple(-(-side // 64) * 64 for side in (height, width))
    return height, width


def smallest_side(model):
    return max(32, *model.backbone.out_strides)


def outcome(run, images):
    """Return the outputs, or None where the images were refused for their size."""
    try:
        return run(images)
    except InputError as error:
        assert 'at least' in str(error)
        return None


def assert_any_size(model, name, sizes):
    """The deploy form computes as the model; too small an image is refused by both."""
    plain = in_pytorch(build_end_to_end(model, 'network').eval())
    deploy = in_pytorch(deployed(model, 'network'))
    smallest = smallest_side(model)
    levels = getattr(getattr(model, 'neck', None), 'smallest_map', 1)
    for height, width, batch in sizes:
        height, width = allowed(name, height, width)
        images, side = images_of(height, width, batch), min(height, width)
        wanted = outcome(plain, images)
        assert (wanted is None) == (side < smallest) or levels > 1 and side < 512, (height, width)
        if wanted is None:
            assert outcome(deploy, images) is None
        else:
            assert_same_however_computed(deploy, images, wanted)


@pytest.mark.parametrize('name', [*MODELS, 'dfus'])
def test_an_odd_size(small, name):
    assert_any_size(small(name), name, [(67, 101, 2)])


@pytest.mark.slow
@pytest.mark.parametrize('name', [*MODELS, 'dfus'])
def test_small_models(small, name):
    assert_any_size(small(name), name, [*SMALL, *within(40_000, sampled(8))])


@pytest.mark.slow
@pytest.mark.parametrize('name', PUBLISHED)
def test_published_models(root, name):
    """With all their channels, on stand-in weights, at sizes of up to 1100 x 1100."""
    model = filled(build_model(read_config(str(root / f'configs/{name}.py'))))
    assert_any_size(model, name, within(60_000, sampled(int(os.environ.get('HARDNET_SIZES', 3)))))
    images = images_of(*allowed(name, *GREATEST[:2]), GREATEST[2])
    plain = in_pytorch(build_end_to_end(model, 'network').eval())
    assert_near(in_pytorch(deployed(model, 'network'))(images), plain(images), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('name', [*MODELS, 'dfus'])
@pytest.mark.parametrize('format_name', [key for key, each in FORMATS.items() if each.any_size])
def test_files(small, name, format_name, tmp_path):
    """Those that promise free sizes, written at one and run at others."""
    skip_without(format_name)
    end_to_end = deployed(small(name), 'network')
    if not end_to_end.any_size:
        pytest.skip('priors lie at the positions of one size')
    path = tmp_path / f'model{FORMATS[format_name].suffix}'
    export(end_to_end, images_of(128, 192, 1), path, format_name)
    run, wanted = in_file(load(path)), in_pytorch(end_to_end)
    least = smallest_side(small(name))
    long = [(1097, least, 1), (least, 1091, 1), *within(80_000, [(1097, 1097, 1)])]
    for height, width, batch in [*sampled(3, low=least, high=200), *long]:
        images = images_of(*allowed(name, height, width), batch)
        assert_same_however_computed(run, images, wanted(images), 1e-3)
