"""Images of any size, alone and together, in one thread and in more, from two threads at once."""

import concurrent.futures
import random

import pytest
import torch
from helpers.exported import MODELS, deployed, filled
from helpers.small_dfus import SMALL_DFUS
from mmengine.config import Config

from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.utils.configs import build_model

SEED = 0
SMALL = [(32, 32), (33, 47), (64, 61), (101, 37)]  # sides that stages halve unevenly, and primes
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
    for i in {0, len(images) - 1}:
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


@pytest.mark.parametrize('name', [*MODELS, 'dfus'])
def test_small_models_at_small_sizes(small, name):
    model = small(name)
    plain = build_end_to_end(model, 'network').eval()
    deploy = deployed(model, 'network')
    for number, size in enumerate(SMALL):
        if name == 'dfus':  # whose windows are of multiples of 64, and the preprocessor pads to
            size = tuple(-(-side // 64) * 64 for side in size)
        images = images_of(*size, number % 3 + 1)
        wanted = in_pytorch(plain)(images)
        assert all(output.isfinite().all() for output in wanted.values())
        assert_same_however_computed(in_pytorch(deploy), images, wanted)


def too_small(error):
    """Tell a refusal that says what is allowed from a failure within a layer."""
    return 'at least' in str(error)
