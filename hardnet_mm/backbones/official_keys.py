"""Names of the backbone's parameters in the originals' checkpoints.

An original stores its backbone as one list, ``base``: stem layers, pools, blocks and transitions,
numbered in order. Functions here return pairs of names, the original's first and ours second. The
pairs follow from a variant's fields.
"""

from collections.abc import Mapping
from itertools import count

import torch

from ..utils.errors import InputError
from .architectures import (
    ARCHITECTURES,
    ARCHITECTURES_V2,
    get_architecture,
    get_architecture_v2,
    group_blocks,
)

MSEG_PREFIX = 'hardnet.'  # of the classifier within HarDNet-MSEG
DFUS_PREFIX = 'backbone.'  # and within HarDNet-DFUS


def adapt_to_backbone(state_dict, prefix, *_):
    """Let a HarDNet or HarDNetV2 load checkpoints of the originals and of complete models of ours.

    This is a hook of ``load_state_dict``. With it, ``init_cfg=dict(type='Pretrained',
    checkpoint=...)`` of a backbone takes either kind of file. It changes ``state_dict`` in place
    and removes keys that are not the backbone's. A backbone's own keys are not changed.
    """
    state = {key.removeprefix(prefix): v for key, v in state_dict.items() if key.startswith(prefix)}
    official = official_state(state)
    arch = None if official is None else recognise(*describe_stem(official, 'base.{}.conv.weight'))
    if arch is not None:
        names = dict(backbone_names(arch))
        modules = {key: key.rpartition('.') for key in official}
        ours = {
            f'{names[module]}.{parameter}': official[key]
            for key, (module, _, parameter) in modules.items()
            if module in names
        }
    elif not prefix and 'backbone.stem.0.conv.weight' in state:
        ours = state
    else:
        return
    for key in state:
        del state_dict[prefix + key]
    for key, value in ours.items():
        if key.startswith('backbone.'):
            state_dict[prefix + key.removeprefix('backbone.')] = value


def unwrap(checkpoint):
    """Return a copy of the state dict in a checkpoint, without the prefix 'module.' in its keys.

    Raises:
        InputError: If the checkpoint is no dict.
    """
    if not isinstance(checkpoint, Mapping):
        raise InputError(f'a checkpoint must be a dict, and is a {type(checkpoint).__name__}')
    for wrapper in ('state_dict', 'model_state'):
        if isinstance(checkpoint.get(wrapper), dict):
            checkpoint = checkpoint[wrapper]
    return {str(key).removeprefix('module.'): value for key, value in checkpoint.items()}


def official_state(checkpoint):
    """Return an original's state dict with its backbone under 'base.'; None for any other dict."""
    state = unwrap(checkpoint)
    for prefix in (MSEG_PREFIX, DFUS_PREFIX):
        if f'{prefix}base.0.conv.weight' in state:
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    if '0.conv.weight' in state:
        state = {f'base.{key}': value for key, value in state.items()}
    first = state.get('base.0.conv.weight')  # a ConvModule of mmcv would have its bn beside it
    known = isinstance(first, torch.Tensor) and 'base.0.norm.weight' in state
    return state if known else None


def describe_stem(state, stem_key):
    """Return whether a state dict has depthwise convolutions, and the widths of its stem."""
    depthwise = any('dwconv' in key or '.downsample.' in key for key in state)
    widths = []
    while (weight := state.get(stem_key.format(len(widths)))) is not None:
        widths.append(len(weight))
    return depthwise, widths


def recognise(depthwise, widths):
    """Return the name of the published variant with such a stem, or None."""
    for name in ARCHITECTURES:
        arch = get_architecture(name)
        if arch['depthwise'] == depthwise and list(arch['stem_channels']) == widths:
            return name
    for name, arch in ARCHITECTURES_V2.items():
        if not depthwise and list(arch['stem_channels']) == widths:
            return name
    return None


def backbone_names(name):
    """Return the pairs of names of a published variant, of HarDNet or HarDNetV2."""
    if name in ARCHITECTURES_V2:
        return base_names_v2(get_architecture_v2(name))
    return base_names(get_architecture(name))


def base_names(arch):
    """Yield the pairs of names of a HarDNet and of the classifier behind it."""
    number = count()
    for i in range(len(arch['stem_channels'])):
        yield from conv_module_names(f'base.{next(number)}', f'backbone.stem.{i}')
    for index, blocks in enumerate(group_blocks(arch['downsample'])):
        stage = f'backbone.stages.{index}'
        if index or arch['stem_pool']:
            yield from _depthwise_names(f'base.{next(number)}', f'{stage}.downsample')  # or a pool
        for i, block in enumerate(blocks):
            theirs = f'base.{next(number)}'
            yield from block_names(theirs, f'{stage}.block{i}', arch['num_layers'][block], arch)
            if arch['dropout'] and block == len(arch['downsample']) - 1:
                next(number)
            yield from conv_module_names(f'base.{next(number)}', f'{stage}.transition{i}')
    yield f'base.{next(number)}.3', 'head.fc'


def base_names_v2(arch):
    """Yield the pairs of names of a HarDNetV2 and of the classifier behind it."""
    number = count()
    for i in range(len(arch['stem_channels'])):
        yield from conv_module_names(f'base.{next(number)}', f'backbone.stem.{i}')
    for index, blocks in enumerate(group_blocks(arch['downsample'])):
        next(number)  # a pool
        for i, block in enumerate(blocks):
            stage, theirs = f'backbone.stages.{index}', f'base.{next(number)}'
            for layer in range(arch['num_layers'][block]):
                pair = f'{theirs}.layers.{layer}', f'{stage}.block{i}.layers.{layer}'
                yield from conv_module_names(*pair)
            theirs = f'base.{next(number)}'
            yield f'{theirs}.fc.0', f'{stage}.excitation{i}.squeeze'
            yield f'{theirs}.fc.2', f'{stage}.excitation{i}.excite'
            yield from conv_module_names(f'base.{next(number)}', f'{stage}.transition{i}')
    yield f'base.{next(number)}.3', 'head.fc'


def block_names(theirs, ours, num_layers, arch):
    """Yield the pairs of names of a block."""
    for layer in range(num_layers):
        pair = f'{theirs}.layers.{layer}', f'{ours}.layers.{layer}'
        if arch['depthwise']:
            yield from conv_module_names(f'{pair[0]}.layer1', f'{pair[1]}.0')
            yield from _depthwise_names(f'{pair[0]}.layer2', f'{pair[1]}.1')
        else:
            yield from conv_module_names(*pair)


def conv_module_names(theirs, ours):
    """Yield the pairs of names of a convolution and its norm."""
    yield f'{theirs}.conv', f'{ours}.conv'
    yield f'{theirs}.norm', f'{ours}.bn'


def _depthwise_names(theirs, ours):
    yield f'{theirs}.dwconv', f'{ours}.conv'
    yield f'{theirs}.norm', f'{ours}.bn'
