"""Checkpoints of the original HarDNet programs, read as this plugin's.

An original's network is a list, ``base``, of stem layers, pools, blocks and transitions, numbered
in order. Pools and dropout have no weights, so a checkpoint shows them as gaps in the numbers: the
structure is read off keys and gaps, whichever the variant.
"""

import re

import torch

EXPECTED = (
    'expected is a checkpoint of PingoLH/Pytorch-HarDNet (base.N..., classification), of '
    'lzx1413/PytorchSSD (base.N..., L2Norm, extras, loc, conf: SSD), or bare base weights (N...)'
)

# What stands behind a layer's number in an original's key, and ours.
_PARAMETERS = (
    (r'\bnorm\.', 'bn.'),
    (r'\blayer1\.', '0.'),  # DS: the pointwise convolution
    (r'\blayer2\.dwconv\.', '1.conv.'),  # DS: the depthwise one
    (r'\blayer2\.', '1.'),
    (r'^dwconv\.', 'conv.'),
)
# SSD's layers outside ``base``; hardnet68's bridge is inside, without names.
_SSD_BRIDGE = {'1.': '1.conv.', '2.': '1.bn.', '4.': '2.'}


def convert_official(state_dict):
    """Convert an original's state dict to that of this plugin's whole model.

    Args:
        state_dict (dict[str, Tensor]): An original's. A dict that has it under ``state_dict`` or
            ``model_state``, and keys under ``module.``, are accepted.

    Returns:
        dict[str, Tensor]: ``backbone.*``, and ``head.*`` of mmpretrain's classifier or ``neck.*``
        and ``bbox_head.*`` of the detector. mmdet counts the background last, so the channels of
        the class scores are reordered; no other value changes.

    Raises:
        ValueError: If a key is none of the originals'.
    """
    state = _unwrap(state_dict)
    layers = _name_layers(state)
    converted = {}
    for key, value in state.items():
        name, number, rest = re.match(r'([^.]*)\.(\d*)\.?(.*)', key + '.').groups()
        rest = rest.removesuffix('.')
        for pattern, ours in _PARAMETERS:
            rest = re.sub(pattern, ours, rest)
        if name == 'base':
            prefix = layers[int(number)]
            if prefix == 'head.fc.':
                rest = rest.removeprefix('3.')
            elif prefix == 'neck.bridge.':
                rest = _SSD_BRIDGE[rest[:2]] + rest[2:]
        elif name == 'L2Norm':
            prefix = 'neck.l2_norm.'
        elif name == 'bridge':
            prefix = f'neck.bridge.{number}.'
        elif name == 'extras':
            prefix = f'neck.extra_layers.{int(number) // 2}.{int(number) % 2}.conv.'
        elif name == 'loc':
            prefix = f'bbox_head.reg_convs.{number}.0.'
        elif name == 'conf':
            prefix = f'bbox_head.cls_convs.{number}.0.'
            num_priors = len(state[f'loc.{number}.bias']) // 4
            value = value.unflatten(0, (num_priors, -1)).roll(-1, dims=1).flatten(0, 1)
        else:
            raise ValueError(f'unknown key {key!r}; {EXPECTED}')
        converted[prefix + rest] = value
    return converted


def _unwrap(state_dict):
    """Return the state dict itself: keys without 'module.', bare base weights under 'base.'."""
    for wrapper in ('state_dict', 'model_state'):
        if isinstance(state_dict.get(wrapper), dict):
            state_dict = state_dict[wrapper]
    state = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    if '0.conv.weight' in state:
        state = {f'base.{key}': value for key, value in state.items()}
    if not isinstance(state.get('base.0.conv.weight'), torch.Tensor):
        raise ValueError(f'no original checkpoint: its keys begin {list(state)[:3]}; {EXPECTED}')
    return state


def _name_layers(state):
    """Return ``{number in base: our prefix}``.

    A block right behind a transition is of its stage; anything else begins the next one: a pool
    (a gap in the numbers), a depthwise convolution, or the stem.
    """
    kinds = {}  # number: first part of the keys behind it
    for key in state:
        if key.startswith('base.'):
            kinds.setdefault(int(key.split('.')[1]), key.split('.')[2])
    names = {}
    stage, block = -1, 0
    for number, kind in sorted(kinds.items()):
        if kind == 'layers':
            if 'transition' not in names.get(number - 1, ''):
                stage, block = stage + 1, 0
            names[number] = f'backbone.stages.{stage}.block{block}.'
        elif kind == 'dwconv':
            names[number] = f'backbone.stages.{stage + 1}.downsample.'
        elif kind == 'conv' and stage < 0:
            names[number] = f'backbone.stem.{number}.'
        elif kind == 'conv':
            names[number] = f'backbone.stages.{stage}.transition{block}.'
            block += 1
        else:
            names[number] = 'head.fc.' if kind == '3' else 'neck.bridge.'
    return names
