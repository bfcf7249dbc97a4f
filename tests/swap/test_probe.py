"""The size of the images that a backbone is run on, and what it gives there."""

import pytest
from helpers.tiny_project import SCOPE
from mmengine.config import Config, ConfigDict

from hardnet_mm.swap.probe import candidate_sizes, probe


def config(backbone=None, **settings):
    backbone = dict(type='Pyramid', channels=(8, 16), strides=(4, 8)) | (backbone or {})
    model = dict(type='Any', backbone=backbone) | settings.pop('model', {})
    return Config(dict(default_scope=SCOPE, model=model, **settings))


def sizes(cfg):
    return [(size.height, size.width) for size in candidate_sizes(cfg, cfg.model.backbone)]


def pipeline(*transforms):
    return dict(train_pipeline=[*transforms, dict(type='PackInputs')])


@pytest.mark.parametrize(
    'cfg, wanted',
    [
        (config(), [(256, 256)]),
        (config(dict(img_size=224)), [(224, 224), (256, 256)]),
        (config(dict(patch_size=14)), [(266, 266)]),
        (config(data_preprocessor=dict(pad_size_divisor=160)), [(320, 320)]),
        (config(model=dict(data_preprocessor=dict(size=(64, 96)))), [(64, 96), (256, 256)]),
        (config(codec=dict(input_size=(192, 256))), [(256, 192), (256, 256)]),
        # a large size is the last: one that takes any is not run on it
        (config(data_preprocessor=dict(size=(512, 1024))), [(256, 256), (512, 1024)]),
        (config(**pipeline(dict(type='Resize', scale=(96, 64)))), [(64, 96), (256, 256)]),
        (config(**pipeline(dict(type='RandomCrop', crop_size=(64, 96)))), [(64, 96), (256, 256)]),
        # the images' own shape decides
        (config(**pipeline(dict(type='Resize', scale=(96, 64), keep_ratio=True))), [(256, 256)]),
        (config(**pipeline(dict(type='ResizeEdge', scale=248))), [(256, 256)]),
        (config(**pipeline(dict(type='RandomCrop', crop_size=(0.5, 0.5)))), [(256, 256)]),
        # the last transform counts
        (
            config(**pipeline(dict(type='ResizeEdge', scale=99), dict(type='C', crop_size=96))),
            [(96, 96), (256, 256)],
        ),
    ],
)
def test_sizes_are_the_configs(cfg, wanted):
    assert sizes(cfg) == wanted


def test_the_pipeline_of_a_wrapped_data_set():
    leaf = dict(type='D', pipeline=[dict(type='Resize', scale=(96, 64), keep_ratio=False)])
    loader = dict(dataset=dict(type='RepeatDataset', dataset=leaf))
    assert sizes(config(train_dataloader=loader)) == [(64, 96), (256, 256)]


def test_a_backbone_that_takes_one_size():
    cfg = config(dict(only=(96, 64)), data_preprocessor=dict(size=(96, 64), mean=[0, 0, 0]))
    found = probe(cfg, cfg.model.backbone)
    assert (found.channels, found.strides) == ((8, 16), (4, 8))
    assert str(found.size) == '96 x 64 (data_preprocessor.size)'


def test_a_refusal_names_the_sizes_that_were_tried():
    cfg = config(dict(only=(96, 64), img_size=48))
    with pytest.raises(ValueError, match=r'48 x 48 \(backbone.img_size\): I take .*; on 256 x 256'):
        probe(cfg, cfg.model.backbone)


def test_an_error_of_any_kind_is_one_of_running():
    """As SparK's networks, which read the mask of the model around them: an AttributeError."""
    cfg = Config(dict(default_scope=SCOPE, model=dict(backbone=dict(type='Masked'))))
    with pytest.raises(
        ValueError, match=r"the default\): 'NoneType' object has no attribute 'shape"
    ):
        probe(cfg, cfg.model.backbone)


def test_a_backbone_that_refuses_to_be_built():
    """As mmdet3d's MinkUNet without its sparse convolutions, by an assertion."""
    cfg = Config(dict(default_scope=SCOPE, model=dict(backbone=dict(type='Refusing'))))
    with pytest.raises(ValueError, match=r'Refusing cannot be built here, .*: install sparse\. If'):
        probe(cfg, cfg.model.backbone)


@pytest.mark.parametrize('channels, mean', [(4, [0] * 4), (3, [0] * 3), (3, [0]), (1, [0])])
def test_images_have_as_many_channels_as_the_mean(channels, mean):
    """Or three, each with the same mean."""
    cfg = config(dict(image_channels=channels), data_preprocessor=dict(mean=mean))
    found = probe(cfg, cfg.model.backbone)
    assert (found.channels, found.image_channels) == ((8, 16), channels)


def test_images_have_as_many_channels_as_the_first_convolution_takes():
    """As mmdet3d's NoStemRegNet, whose config states none."""
    cfg = Config(dict(default_scope=SCOPE, model=dict(backbone=dict(type='PillarNet'))))
    found = probe(cfg, cfg.model.backbone)
    assert (found.channels, found.strides, found.image_channels) == ((8,), (4,), 12)


def test_strides_are_powers_of_two_where_sizes_are_rounded():
    """224 pixels give 4 cells at stride 64; at stride 12 they give 19."""
    cfg = config(dict(channels=(8,), strides=(64,), img_size=224))
    assert probe(cfg, cfg.model.backbone).strides == (64,)
    cfg.model.backbone.strides = (12,)
    assert probe(cfg, cfg.model.backbone).strides == (11,)


def test_a_vector_has_no_stride():
    cfg = Config(dict(default_scope=SCOPE, model=dict(backbone=dict(type='Vector', width=7))))
    found = probe(cfg, cfg.model.backbone)
    assert (found.channels, found.strides) == ((7,), ())


@pytest.mark.parametrize(
    'strides, message',
    [
        (((4, 8), (8, 16)), 'stride 4 in height and 8 in width'),
        ((8, 4), 'shallow to deep'),
    ],
)
def test_refuses_outputs_that_hardnet_has_not(strides, message):
    cfg = config(dict(strides=strides))
    with pytest.raises(ValueError, match=message):
        probe(cfg, ConfigDict(cfg.model.backbone))
