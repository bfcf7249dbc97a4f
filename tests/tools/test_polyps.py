"""One foreground through the tools: recipes on a few images, and what a user may get wrong."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from helpers.exported import filled
from helpers.small_dfus import SMALL_PARTS

from hardnet_mm.utils.configs import build_model, read_config

SMALL_MSEG = """backbone=dict(_delete_=True, type='HarDNet', out_indices=(0, 1, 2), arch=dict(
    stem_channels=(8, 16), stem_strides=(2, 2), stem_pool=False, growth_multiplier=1.7,
    growth_rates=(4, 4, 4), num_layers=(4, 4, 4), transition_channels=(16, 24, 32),
    downsample=(1, 1, 0))), decode_head=dict(in_channels=(16, 24, 32), channels=8)"""
# AmpOptimWrapper is for accelerators alone
PLAIN = """
wrapper = {key: value for key, value in _base_.optim_wrapper.items() if key != 'dtype'}
wrapper['type'] = 'OptimWrapper'
optim_wrapper = dict(_delete_=True, **wrapper)
"""


def disk(size=(48, 64), centre=(20, 30)):
    y, x = np.mgrid[: size[0], : size[1]]
    return (np.hypot(y - centre[0], x - centre[1]) < 12).astype(np.uint8) * 255


@pytest.fixture
def polyps(tmp_path):
    """Four images of 48 x 64, a disk brighter than the rest in all but one, and their masks."""
    folder, rng = tmp_path / 'polyps', np.random.default_rng(0)
    for part in ('images', 'masks'):
        (folder / part).mkdir(parents=True)
    for number in range(4):
        mask = disk(centre=(20, 20 + 6 * number)) * (number < 3)
        image = rng.integers(0, 120, (48, 64, 3), np.uint8) + mask[..., None] // 2
        cv2.imwrite(str(folder / f'images/{number}.png'), image)
        cv2.imwrite(str(folder / f'masks/{number}.png'), mask)
    return folder


@pytest.fixture
def make_config(root, polyps, tmp_path):
    """Return a function that writes a published config with small parts, on the four images."""

    def make(name='mseg_hardnet68_kvasir', parts=SMALL_MSEG, text=''):
        path = tmp_path / 'small.py'
        path.write_text(
            f'_base_ = {str(root / f"configs/{name}.py")!r}\n'
            f'model = dict({parts})\n'
            f'data = dict(dataset=dict(data_root={str(polyps)!r}, ann_file="", data_prefix=dict(\n'
            '    img_path="images", seg_map_path="masks")), num_workers=0, '
            'persistent_workers=False)\n'
            'train_dataloader = dict(batch_size=2, **data)\n'
            'val_dataloader = test_dataloader = data\n'
            'default_hooks = dict(logger=dict(interval=1))\n' + text
        )
        return path

    return make


@pytest.fixture
def stand_in(tmp_path):
    """Return a function that stores a checkpoint for a config."""

    def store(config):
        path = tmp_path / 'weights.pth'
        torch.save(
            dict(state_dict=filled(build_model(read_config(str(config)))).state_dict(), meta={}),
            path,
        )
        return path

    return store


def last_line(output):
    return output.splitlines()[-1]


# Recipes


@pytest.mark.slow
def test_the_modern_recipe_trains(make_config, run_tool, tmp_path):
    """Augmentation, schedule, averaged weights: all but bfloat16, which is for accelerators."""
    config = make_config('mseg_hardnet68_kvasir_modern', text=PLAIN)
    work = tmp_path / 'work'
    pipeline, side = 'train_dataloader.dataset.pipeline', '(64,64)'
    output = run_tool(
        *('train.py', config, '--work-dir', work, '--cfg-options'),
        *('train_cfg.max_epochs=2', 'train_cfg.val_interval=2'),
        *(
            f'{pipeline}.2.scale={side}',
            f'{pipeline}.4.crop_size={side}',
            f'{pipeline}.5.size={side}',
        ),
        'val_dataloader.dataset.pipeline.1.scale=(64,64)',
    )
    assert 'decode.loss_structure' in output and 'grad_norm' in output and 'mDice' in output
    state = torch.load(work / 'epoch_2.pth', weights_only=False)
    assert state['message_hub'] and 'ema_state_dict' in state
    rates = [group['lr'] for group in state['optimizer']['param_groups']]
    assert all(0 < rate < 2e-4 for rate in rates)  # it warms up


@pytest.mark.slow
def test_dfus_trains_and_is_tested_by_flips_and_folds(make_config, run_tool, tmp_path):
    """Random sides, four losses; two folds as one model, each image in three views."""
    config = make_config('dfus_hardnetv2-53_kvasir', SMALL_PARTS, PLAIN)
    work = tmp_path / 'work'
    pipeline = 'dataset.pipeline'
    options = (
        *('train_cfg.max_epochs=2', 'train_cfg.val_interval=2', 'train_cfg.side=128'),
        'default_hooks.checkpoint.interval=1',
        f'train_dataloader.{pipeline}.8.scale=(128,128)',
        *(f'{key}_dataloader.{pipeline}.1.scale=(128,128)' for key in ('val', 'test')),
        'tta_pipeline.1.scale=(128,128)',
    )
    output = run_tool('train.py', config, '--work-dir', work, '--cfg-options', *options)
    for loss in ('loss_structure', 'deep1.loss_structure', 'deep2.loss_structure', 'loss_boundary'):
        assert f'decode.{loss}' in output
    folds = [work / f'epoch_{epoch}.pth' for epoch in (1, 2)]
    test = ('test.py', config, *folds, '--work-dir', work, '--tta', '--cfg-options', *options)
    assert 'maxDice' in run_tool(*test)


# What a user may get wrong


def wrong(run_tool, tool, config, *arguments, options=()):
    """The one line that a tool ends in."""
    options = ('--cfg-options', *options) if options else ()
    output = run_tool(tool, config, *arguments, *options, fails=True)
    line = last_line(output)
    assert line.startswith(f'{tool}: error: '), output[-3000:]
    return line


def several(path):
    """A mask of four classes, as numbers."""
    cv2.imwrite(str(path), np.tile(np.arange(4, dtype=np.uint8).repeat(16), (48, 1)))


def other_size(path):
    cv2.imwrite(str(path), disk((40, 64)))


def emptied(folder):
    shutil.rmtree(folder)
    folder.mkdir()


BROKEN = {
    'several classes': (
        lambda folder: [several(path) for path in (folder / 'masks').iterdir()],
        'has values up to 3, and none above 128: a mask of a background and one foreground',
    ),
    'another size': (
        lambda folder: [other_size(path) for path in (folder / 'masks').iterdir()],
        'has 40 x 64 pixels, and its image',
    ),
    'an empty folder': (
        lambda folder: [emptied(folder / part) for part in ('images', 'masks')],
        'images: .bmp, .jpeg',
    ),
    'no mask': (lambda folder: (folder / 'masks/2.png').unlink(), 'has no mask of 1 names, 2'),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    'kind',
    BROKEN,
)
def test_broken_data_is_told_by_training_and_testing(
    make_config, stand_in, run_tool, polyps, tmp_path, kind
):
    change, words = BROKEN[kind]
    change(polyps)
    config = make_config()
    work = ('--work-dir', tmp_path / 'work')
    assert words in wrong(run_tool, 'train.py', config, *work)
    assert words in wrong(run_tool, 'test.py', config, stand_in(config), *work)


@pytest.mark.slow
def test_classes_are_not_a_foreground(make_config, run_tool, polyps, tmp_path):
    """mmseg's own loader, which reads numbers of classes; a head of more than two classes."""
    for path in (polyps / 'masks').iterdir():
        several(path)
    work = ('--work-dir', tmp_path / 'work')
    text = (
        'plain = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"),\n'
        '    dict(type="PackSegInputs")]\n'
        'train_dataloader["dataset"]["pipeline"] = plain\n'
    )
    config = make_config(text=text)
    assert 'needs soft masks, and this one has numbers of classes' in wrong(
        run_tool, 'train.py', config, *work
    )
    loop = 'train_cfg = dict(_delete_=True, type="EpochBasedTrainLoop", max_epochs=1)\n'
    config = make_config(text=text + loop)
    line = wrong(run_tool, 'train.py', config, *work)
    assert 'and the model 2 classes: labels are from 0 to 1' in line
    config = make_config()
    line = wrong(run_tool, 'train.py', config, *work, options=['model.decode_head.num_classes=4'])
    assert 'num_classes must be 2, background and foreground, got 4' in line


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, parts',
    [('mseg_hardnet68_kvasir', SMALL_MSEG), ('dfus_hardnetv2-53_kvasir', SMALL_PARTS)],
)
def test_sides_that_do_not_divide(make_config, stand_in, run_tool, polyps, tmp_path, name, parts):
    """Padded to predict and test; a loop of sizes and a file of one size refuse them at once."""
    pipeline = 'test_pipeline = [_base_.test_pipeline[0], *_base_.test_pipeline[2:]]\n'
    pipeline += 'test_dataloader["dataset"]["pipeline"] = test_pipeline\n'
    config = make_config(name, parts, pipeline)
    weights = stand_in(config)
    out = tmp_path / 'out'
    run_tool('predict.py', config, weights, polyps / 'images/0.png', '--out-dir', out)
    assert cv2.imread(str(out / 'labels/0.png'), -1).shape == (48, 64)
    assert 'mDice' in run_tool('test.py', config, weights, '--work-dir', tmp_path / 'work')
    arguments = (weights, '--format', 'onnx', '--out', tmp_path / 'model.onnx')
    line = wrong(run_tool, 'export.py', config, *arguments)
    assert 'pads an image of 48 x 64 to 64 x 64, and an exported file does not' in line
    sizes = ['train_cfg.sizes=[100]'] if 'mseg' in name else ['train_cfg.divisor=50']
    line = wrong(
        run_tool,
        'train.py',
        make_config(name, parts, PLAIN if 'dfus' in name else ''),
        *('--work-dir', tmp_path / 'work'),
        options=sizes,
    )
    assert 'would pad some of the sizes' in line
