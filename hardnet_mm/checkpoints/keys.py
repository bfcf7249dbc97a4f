"""Checkpoints of the original HarDNet programs, read as this plugin's, and written back.

An original keeps its backbone as one list, ``base``: stem layers, pools, blocks and transitions,
numbered in order. Which module of ours each of its modules is, is listed below from the variant's
fields, and the variant is recognised by its stem; so the keys of all programs, in both directions,
come from one table.
"""

from itertools import count

import torch

from ..backbones.architectures import ARCHITECTURES, get_architecture, group_blocks
from ..utils.errors import InputError

EXPECTED = (
    'expected is a checkpoint of PingoLH/Pytorch-HarDNet (classification), lzx1413/PytorchSSD '
    '(SSD512), PingoLH/CenterNet-HarDNet or PingoLH/FCHarDNet, or base weights of theirs, on '
    f'one of {list(ARCHITECTURES)}'
)


def convert_official(state_dict):
    """Convert an original's state dict to that of this plugin's whole model.

    Args:
        state_dict (dict[str, Tensor]): An original's. A dict that has it under ``state_dict`` or
            ``model_state``, and keys under ``module.``, are accepted.

    Returns:
        dict[str, Tensor]: ``backbone.*``, and what the model has besides: ``head.*`` of a
        classifier, ``neck.*`` and ``bbox_head.*`` of a detector, ``decode_head.*`` of a segmentor.
        mmdet counts SSD's background last, so the channels of its class scores are reordered; no
        other value changes.

    Raises:
        InputError: If a key is none of the originals'.
    """
    state = _official_state(state_dict)
    if state is None:
        raise InputError(f'no original checkpoint: its keys are {_head(state_dict)}; {EXPECTED}')
    ours = _rename(state, _module_names(_recognise(state, 'base.{}.conv.weight')))
    for key in ours:
        if key.startswith('bbox_head.cls_convs.'):
            ours[key] = _roll_classes(ours, key, -1)
    return ours


def to_official(state_dict):
    """Convert this plugin's state dict back to that of the original program.

    Args:
        state_dict (dict[str, Tensor]): A whole model's, a backbone's, or a checkpoint that has it
            under ``state_dict``.

    Returns:
        dict[str, Tensor]: What the original program's ``load_state_dict`` takes; from a backbone
        alone, its ``base.*``.

    Raises:
        InputError: If the variant is not a published one, or a key has no counterpart there.
    """
    state = _unwrap(state_dict)
    if 'stem.0.conv.weight' in state:
        state = {f'backbone.{key}': value for key, value in state.items()}
    name = _recognise(state, 'backbone.stem.{}.conv.weight')
    for key in state:
        if key.startswith('bbox_head.cls_convs.'):
            state[key] = _roll_classes(state, key, 1)
    return _rename(state, {ours: theirs for theirs, ours in _module_names(name).items()})


def adapt_to_backbone(state_dict, prefix, *_):
    """Let a HarDNet load an original's keys, or those of a whole model of ours.

    A hook of ``load_state_dict``, so that ``init_cfg=dict(type='Pretrained', checkpoint=...)`` of a
    backbone takes either kind of file. It changes ``state_dict`` in place, and leaves a backbone's
    own alone.
    """
    state = {key.removeprefix(prefix): v for key, v in state_dict.items() if key.startswith(prefix)}
    if is_official(state):
        whole = convert_official(state)
    elif not prefix and 'backbone.stem.0.conv.weight' in state:
        whole = state
    else:
        return
    for key in state:
        del state_dict[prefix + key]
    for key, value in whole.items():
        if key.startswith('backbone.'):
            state_dict[prefix + key.removeprefix('backbone.')] = value


def is_official(checkpoint):
    """Tell whether a loaded file is an original's, as far as its first layer shows."""
    return isinstance(checkpoint, dict) and _official_state(checkpoint) is not None


def _unwrap(state_dict):
    """Return a new dict of the state dict itself, its keys without 'module.'."""
    for wrapper in ('state_dict', 'model_state'):
        if isinstance(state_dict.get(wrapper), dict):
            state_dict = state_dict[wrapper]
    return {str(key).removeprefix('module.'): value for key, value in state_dict.items()}


def _official_state(checkpoint):
    """Return an original's state dict, bare base weights under 'base.'; None if it is no such."""
    state = _unwrap(checkpoint)
    if '0.conv.weight' in state:
        state = {f'base.{key}': value for key, value in state.items()}
    first = state.get('base.0.conv.weight')  # a ConvModule of mmcv would have its bn beside it
    known = isinstance(first, torch.Tensor) and 'base.0.norm.weight' in state
    return state if known else None


def _head(state_dict):
    return f'{list(_unwrap(state_dict))[:3]}...'


def _recognise(state, stem_key):
    """Return the name of the published variant whose stem the state dict has."""
    depthwise = any('dwconv' in key or '.downsample.' in key for key in state)
    widths = []
    while (weight := state.get(stem_key.format(len(widths)))) is not None:
        widths.append(len(weight))
    for name in ARCHITECTURES:
        arch = get_architecture(name)
        if arch['depthwise'] == depthwise and list(arch['stem_channels']) == widths:
            return name
    raise InputError(
        f'a HarDNet{" with depthwise convolutions" if depthwise else ""} with a stem of {widths} '
        f'channels is no published one; {EXPECTED}'
    )


def _rename(state, modules):
    """Return the state dict with every parameter's module renamed."""
    renamed = {}
    for key, value in state.items():
        module, _, parameter = key.rpartition('.')
        if module not in modules:
            raise InputError(f'unknown key {key!r}; {EXPECTED}')
        renamed[f'{modules[module]}.{parameter}'] = value
    return renamed


def _roll_classes(state, key, shift):
    """Move the background, a prior's first class or its last, to the other end."""
    bias = state[key.replace('cls_convs', 'reg_convs').replace('.weight', '.bias')]
    return state[key].unflatten(0, (len(bias) // 4, -1)).roll(shift, dims=1).flatten(0, 1)


def _module_names(name):
    """Return ``{an original's module: ours}``, all that the originals build on a variant."""
    arch = get_architecture(name)
    others = _fchardnet(arch) if name == 'fchardnet70' else (*_ssd(name), *_centernet(arch))
    return dict((*_base(arch), *others))


def _ssd(name):
    if name == 'hardnet68':  # its bridge is inside base, in place of the last pool
        yield 'base.13.1', 'neck.bridge.1.conv'
        yield 'base.13.2', 'neck.bridge.1.bn'
        yield from _conv_module('base.13.4', 'neck.bridge.2')
    else:
        yield from _conv_module('bridge.1', 'neck.bridge.1')
        yield from _conv_module('bridge.2', 'neck.bridge.2')
    yield 'L2Norm', 'neck.l2_norm'
    for level in range(7):
        yield f'loc.{level}', f'bbox_head.reg_convs.{level}.0'
        yield f'conf.{level}', f'bbox_head.cls_convs.{level}.0'
        for i in (0, 1):
            yield f'extras.{2 * level + i}', f'neck.extra_layers.{level}.{i}.conv'


def _centernet(arch):
    yield from _conv_module('last_proj', 'neck.projections.0')
    yield from _block('last_blk', 'neck.blocks.0', 8, arch)
    for i, num_layers in enumerate((8, 8, 4)):
        yield from _conv_module(f'conv1x1_up.{i}', f'neck.projections.{i + 1}')
        yield from _block(f'denseBlocksUp.{i}', f'neck.blocks.{i + 1}', num_layers, arch)
    for i in (0, 2):
        yield f'hm.{i}', f'bbox_head.heatmap_head.{i}'
        yield f'wh.{i}', f'bbox_head.wh_head.{i}'


def _fchardnet(arch):
    for i, num_layers in enumerate(reversed(arch['num_layers'][:-1])):
        yield from _conv_module(f'conv1x1_up.{i}', f'decode_head.projections.{i}')
        yield from _block(f'denseBlocksUp.{i}', f'decode_head.blocks.{i}', num_layers, arch)
    yield 'finalConv', 'decode_head.conv_seg'


def _base(arch):
    """Yield the pairs of the backbone and of the classifier behind it."""
    number = count()
    for i in range(len(arch['stem_channels'])):
        yield from _conv_module(f'base.{next(number)}', f'backbone.stem.{i}')
    for index, blocks in enumerate(group_blocks(arch['downsample'])):
        stage = f'backbone.stages.{index}'
        if index or arch['stem_pool']:
            yield from _depthwise(f'base.{next(number)}', f'{stage}.downsample')  # or a pool
        for i, block in enumerate(blocks):
            theirs = f'base.{next(number)}'
            yield from _block(theirs, f'{stage}.block{i}', arch['num_layers'][block], arch)
            if arch['dropout'] and block == len(arch['downsample']) - 1:
                next(number)
            yield from _conv_module(f'base.{next(number)}', f'{stage}.transition{i}')
    yield f'base.{next(number)}.3', 'head.fc'


def _block(theirs, ours, num_layers, arch):
    for layer in range(num_layers):
        pair = f'{theirs}.layers.{layer}', f'{ours}.layers.{layer}'
        if arch['depthwise']:
            yield from _conv_module(f'{pair[0]}.layer1', f'{pair[1]}.0')
            yield from _depthwise(f'{pair[0]}.layer2', f'{pair[1]}.1')
        else:
            yield from _conv_module(*pair)


def _conv_module(theirs, ours):
    yield f'{theirs}.conv', f'{ours}.conv'
    yield f'{theirs}.norm', f'{ours}.bn'


def _depthwise(theirs, ours):
    yield f'{theirs}.dwconv', f'{ours}.conv'
    yield f'{theirs}.norm', f'{ours}.bn'
