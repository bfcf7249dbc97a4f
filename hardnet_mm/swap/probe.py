"""Finds the outputs of a backbone, by running it on images of a size that its config states."""

import math
from dataclasses import dataclass

import torch
from mmengine.registry import DefaultScope

from ..utils.configs import without_checkpoints
from ..utils.datasets import leaf_datasets
from ..utils.errors import InputError
from ..utils.toolboxes import register_toolbox
from .places import kind_of

SIDE = 256  # of the images where the config states no small size
LARGE = 512 * 512  # pixels; a backbone that takes any size is not run on more
BACKBONE_SIZES = ('img_size', 'image_size', 'input_size', 'pretrain_img_size', 'input_resolution')
# The arguments of transforms that have a size, and whether the width comes first.
TRANSFORM_SIZES = dict(crop_size=False, size=False, scale=True, img_scale=True, input_size=True)


@dataclass
class Size:
    """Height and width of images, and the setting that they are from."""

    height: int
    width: int
    source: str

    def __str__(self):
        return f'{self.height} x {self.width} ({self.source})'


@dataclass
class Outputs:
    """The outputs of a backbone.

    Attributes:
        channels (tuple[int]): Channels of each output.
        strides (tuple[int]): Stride of each output; empty if the output is one vector per image.
        size (Size): Size of the images on which the backbone was run; None if the user stated the
            outputs.
        image_channels (int): Channels of the images.
        bare (bool): Whether the only output is a tensor, not a tuple of one.
    """

    channels: tuple
    strides: tuple
    size: Size | None = None
    image_channels: int = 3
    bare: bool = False


def told_outputs(words):
    """Return the outputs that a user states, such as ``256:4 512:8``: channels and stride of each.

    Raises:
        InputError: If a word has another format, or the outputs do not go from shallow to deep.
    """
    pairs = [word.split(':') for word in words]
    if not all(len(pair) == 2 and all(part.isdigit() for part in pair) for pair in pairs):
        raise InputError(f'outputs are CHANNELS:STRIDE each, as 256:4 512:8, got {" ".join(words)}')
    channels, strides = zip(*(map(int, pair) for pair in pairs))
    if list(strides) != sorted(strides):
        raise InputError(f'outputs must go from shallow to deep, got the strides {strides}')
    return Outputs(channels, strides)


def candidate_sizes(cfg, backbone):
    """Return image sizes for running a backbone, in the order in which they are tried.

    First come the sizes that the backbone states, then small sizes of the data preprocessor and the
    pipelines, then 256 x 256, rounded up to a multiple of the patch size and the padding divisor,
    and then larger sizes of the data preprocessor and the pipelines.

    Args:
        cfg (Config): The complete config.
        backbone (ConfigDict): Config of its backbone.

    Returns:
        list[Size]: The sizes, without repetitions.
    """
    sizes = [
        Size(*pair, f'backbone.{key}')
        for key in BACKBONE_SIZES
        if (pair := _pair(backbone.get(key)))
    ]
    stated = [*_preprocessor_sizes(cfg), *_codec_sizes(cfg), *_pipeline_sizes(cfg)]
    sizes += [size for size in stated if size.height * size.width <= LARGE]
    sizes.append(_usual_size(cfg, backbone))
    sizes += [size for size in stated if size.height * size.width > LARGE]
    return list({(size.height, size.width): size for size in reversed(sizes)}.values())[::-1]


def _pair(value, width_first=False):
    """Return height and width of a size in a config, or None for any other value."""
    if type(value) is int:
        value = (value, value)
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    if not all(type(side) is int and side >= 8 for side in value):
        return None
    return tuple(reversed(value)) if width_first else tuple(value)


def _usual_size(cfg, backbone):
    patch = backbone.get('patch_size')
    patch = patch if type(patch) is int and 0 < patch <= SIDE else 1
    padded = preprocessor(cfg).get('pad_size_divisor')
    padded = padded if type(padded) is int and padded > 0 else 1
    unit = math.lcm(patch, padded)
    side = math.ceil(SIDE / unit) * unit
    reasons = [f'patches of {patch}'] * (patch > 1) + [f'padding to {padded}'] * (padded > 1)
    return Size(side, side, ' and '.join(reasons) if side != SIDE else 'the default')


def preprocessor(cfg):
    """Return the config of the data preprocessor, from the model or from the top level."""
    found = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    return found.get('data_preprocessor') or found  # of a semi-supervised model


def _preprocessor_sizes(cfg):
    pair = _pair(preprocessor(cfg).get('size'))
    return [Size(*pair, 'data_preprocessor.size')] if pair else []


def _codec_sizes(cfg):
    """Return the input size of mmpose's keypoint codec, which states the width first."""
    codec = cfg.get('codec')
    pair = _pair(codec.get('input_size'), width_first=True) if isinstance(codec, dict) else None
    return [Size(*pair, 'codec.input_size')] if pair else []


def _pipeline_sizes(cfg):
    """Return the size of each pipeline's images, if its last transform with a size fixes it."""
    sizes = []
    for name in ('train', 'test'):
        settings = (cfg.get(f'{name}_dataloader') or {}).get('dataset')
        leaves = list(leaf_datasets(settings)) if isinstance(settings, dict) else []
        pipeline = leaves[0].get('pipeline') if leaves else None
        pair, source = _last_size(pipeline or cfg.get(f'{name}_pipeline') or [])
        if pair:
            sizes.append(Size(*pair, f'{name} pipeline, {source}'))
    return sizes


def _last_size(pipeline):
    for transform in reversed(list(pipeline)):
        if not isinstance(transform, dict):
            continue
        kind = kind_of(transform)
        keys = [key for key in TRANSFORM_SIZES if transform.get(key) is not None]
        if not keys or kind.startswith('Color'):
            continue
        if transform.get('keep_ratio') or 'Edge' in kind:
            return None, ''  # the images' own shape decides
        return _pair(transform[keys[0]], TRANSFORM_SIZES[keys[0]]), f'{kind}.{keys[0]}'
    return None, ''


def probe(cfg, backbone, inner_scope=None):
    """Run a backbone to find its outputs.

    Args:
        cfg (Config): The complete config, whose ``default_scope`` is a toolbox or a registry.
        backbone (ConfigDict): Config of its backbone.
        inner_scope (str, optional): Scope of its class. Defaults to None: the config's.

    Returns:
        Outputs: The outputs.

    Raises:
        ImportError: If it needs a package that is not installed.
        KeyError: If no imported module has registered its class.
        InputError: If the backbone cannot be built, if it does not run, or if its outputs are
            neither feature maps in the order from shallow to deep, nor one vector.
    """
    scope = inner_scope or cfg.default_scope
    registry = register_toolbox(scope).MODELS
    settings = without_checkpoints(backbone)
    settings.pop('dcn', None)  # changes no shape, and may need compiled operators
    with DefaultScope.overwrite_default_scope(scope), torch.no_grad():
        old = _built(registry, settings)
        old.eval()  # some return nothing from it
        depths = _image_channels(cfg, backbone, old)
        outputs, size, depth = _run(old, depths, candidate_sizes(cfg, backbone))
    bare = isinstance(outputs, torch.Tensor)
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    kind = kind_of(backbone)
    if len(outputs) == 1 and isinstance(outputs[0], torch.Tensor) and outputs[0].dim() == 2:
        return Outputs((outputs[0].shape[1],), (), size, depth)
    if not all(isinstance(output, torch.Tensor) and output.dim() == 4 for output in outputs):
        raise InputError(
            f'{kind} returns tokens or other outputs, but HarDNet returns feature maps: the module '
            'after it in this config cannot take them'
        )
    strides = tuple(_stride(kind, output, size) for output in outputs)
    if list(strides) != sorted(strides):
        raise InputError(f'the outputs must go from shallow to deep, got the strides {strides}')
    return Outputs(tuple(output.shape[1] for output in outputs), strides, size, depth, bare)


def _built(registry, settings):
    try:
        return registry.build(settings)
    except (ImportError, NotImplementedError, KeyError):
        raise  # a package, a compiled operator, or a class is not there
    except Exception as error:  # whatever a project may raise
        words = ' '.join(str(error).split()) or type(error).__name__
        raise InputError(
            f'{kind_of(settings)} cannot be built here, so its outputs are not known: {words}. If '
            'HarDNet can replace it, state its outputs by --outputs'
        ) from error


def _image_channels(cfg, backbone, old):
    """Return possible numbers of image channels.

    They are the number that the backbone's config states, or else 3, the number of means, and what
    the first convolution takes. That is another number in a network on maps of pillars or voxels.
    """
    for key in ('in_channels', 'in_chans', 'input_channels'):
        if type(backbone.get(key)) is int:
            return [backbone[key]]
    mean = preprocessor(cfg).get('mean')
    means = len(mean) if isinstance(mean, (list, tuple)) else 3
    layers = (layer for layer in old.modules() if isinstance(layer, torch.nn.Conv2d))
    first = next((layer.in_channels for layer in layers), 3)
    return list(dict.fromkeys((3, means, first)))


def _run(backbone, depths, sizes):
    """Return the outputs for the first size and channels on which a backbone runs, and these."""
    errors = []
    for size in sizes:
        for depth in depths:
            try:
                images = torch.zeros(1, depth, size.height, size.width)
                return backbone(images), size, depth
            except NotImplementedError:
                raise  # a compiled operator that is not there
            except Exception as error:  # whatever a project may raise
                words = ' '.join(str(error).split()) or type(error).__name__
                errors.append(f'on {size}: {words}')
    raise InputError(
        f'{type(backbone).__name__} runs on none of the sizes that its config states, so its '
        f'outputs are not known: {"; ".join(errors)}. If HarDNet can replace it, state its outputs '
        'by --outputs'
    )


def _stride(kind, output, size):
    """Return the stride of an output: a power of 2, unless its size differs by over a position."""
    strides = []
    for side, positions in ((size.height, output.shape[-2]), (size.width, output.shape[-1])):
        power = 2 ** max(0, round(math.log2(side / positions)))
        strides.append(power if abs(side / power - positions) <= 1 else side // positions)
    if strides[0] != strides[1]:
        raise InputError(
            f'{kind} has an output of stride {strides[0]} in height and {strides[1]} in width, but '
            'the strides of HarDNet are equal in both'
        )
    return strides[0]
