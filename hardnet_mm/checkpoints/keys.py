"""Converts checkpoints of the original HarDNet programs to this plugin's keys, and back.

The variant is recognised by its stem. :mod:`.module_names` has the table of module names, which
serves all programs and both directions.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..backbones.architectures import ARCHITECTURES, ARCHITECTURES_V2
from ..backbones.official_keys import (
    DFUS_PREFIX,
    MSEG_PREFIX,
    backbone_names,
    describe_stem,
    official_state,
    recognise,
    unwrap,
)
from ..foundation import print_log
from ..utils.errors import InputError
from .module_names import DFUS_OUTPUT, MSEG_OUTPUT, module_names
from .paddle import convert_paddle, is_paddle

EXPECTED = (
    'expected is a checkpoint of PingoLH/Pytorch-HarDNet (classification), lzx1413/PytorchSSD '
    "(SSD512, RFBNet512), PingoLH/CenterNet-HarDNet, PingoLH/FCHarDNet, PaddleSeg's FC-HarDNet, "
    'james128333/HarDNet-MSEG or kytimmylai/DFUC2022 (HarDNet-DFUS), or base weights of theirs, on '
    f'one of {[*ARCHITECTURES, *ARCHITECTURES_V2]}'
)
# The prefix of the backbone in two programs, and their names, by the key that identifies each.
_PREFIXES = {MSEG_OUTPUT: MSEG_PREFIX, DFUS_OUTPUT: DFUS_PREFIX}
_PROGRAMS = {MSEG_OUTPUT: 'HarDNet-MSEG', DFUS_OUTPUT: 'HarDNet-DFUS'}

# Modules that HarDNet-MSEG inherits from PraNet and never calls.
UNUSED_IN_MSEG = (
    *(f'ra4_conv{i}' for i in range(1, 6)),
    *(f'ra{level}_conv{i}' for level in (3, 2) for i in range(1, 5)),
    *(f'conv{i}' for i in range(2, 7)),
)


def convert_official(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert a state dict of an original program to that of this plugin's end-to-end model.

    Values stay the same, with two exceptions. In SSD and RFBNet, mmdet's background is the last
    class, not the first, so the channels of the class scores are reordered. Modules that
    HarDNet-MSEG and HarDNet-DFUS never call are left out; the log names them.

    Args:
        state_dict (dict[str, Tensor]): The original's state dict, or a checkpoint that contains it
            under ``state_dict`` or ``model_state``. A prefix ``module.`` of keys is removed.

    Returns:
        dict[str, Tensor]: ``backbone.*``, and the keys of the task: ``head.*`` for a classifier,
        ``neck.*`` and ``bbox_head.*`` for a detector, ``decode_head.*`` for a segmentor.

    Raises:
        InputError: If it is no dict, or a key belongs to none of the originals.

    Examples:
        >>> from hardnet_mm.checkpoints import convert_official
        >>> state = convert_official(torch.load('hardnet68.pth'))  # doctest: +SKIP
        >>> model.backbone.load_state_dict(  # doctest: +SKIP
        ...     {k[9:]: v for k, v in state.items() if k.startswith('backbone.')})
    """
    unwrapped = unwrap(state_dict)
    if is_paddle(unwrapped):
        return convert_paddle(unwrapped)
    state = official_state(unwrapped)
    if state is None:
        raise InputError(f'no original checkpoint: its keys are {[*unwrapped][:3]}...; {EXPECTED}')
    name = _known_variant(state, 'base.{}.conv.weight')
    program = _program(state)
    if program:
        state = _without_unused(state, program, name)
    ours = _rename(state, module_names(name, _has_rfb(state)))
    for key in ours:
        if key.startswith('bbox_head.cls_convs.'):
            ours[key] = _roll_classes(ours, key, -1)
    return ours


def to_official(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert a state dict of this plugin back to that of the original program.

    HarDNet-MSEG and HarDNet-DFUS contain modules that they never call, and that this plugin does
    not have. The log names them. Those two programs load the result with ``strict=False``.

    Args:
        state_dict (dict[str, Tensor]): The state dict of an end-to-end model or of a backbone, or
            a checkpoint that contains it under ``state_dict``.

    Returns:
        dict[str, Tensor]: The state dict for the original program's ``load_state_dict``. From a
        backbone alone, only its ``base.*``.

    Raises:
        InputError: If the variant is not a published one, or if the original has no counterpart
            of a key.
    """
    state = unwrap(state_dict)
    if 'stem.0.conv.weight' in state:
        state = {f'backbone.{key}': value for key, value in state.items()}
    name = _known_variant(state, 'backbone.stem.{}.conv.weight')
    for key in state:
        if key.startswith('bbox_head.cls_convs.'):
            state[key] = _roll_classes(state, key, 1)
    names = module_names(name, _has_rfb(state))
    official = _rename(state, {ours: theirs for theirs, ours in names.items()})
    program = _program(official)
    return _as_program(official, program, name) if program else official


def is_official(checkpoint: Any) -> bool:
    """Return whether a loaded file is a checkpoint of an original program, by its first layer.

    Args:
        checkpoint: Anything that ``torch.load`` returned.
    """
    if not isinstance(checkpoint, dict):
        return False
    return is_paddle(unwrap(checkpoint)) or official_state(checkpoint) is not None


def _program(state):
    """Return the key by which HarDNet-MSEG or HarDNet-DFUS is recognised, None for others."""
    return next((output for output in _PREFIXES if output in state), None)


def _unused(output, name):
    """Return the names of the modules that a program with a given variant never calls."""
    classifier = next(theirs for theirs, ours in backbone_names(name) if ours == 'head.fc')
    others = UNUSED_IN_MSEG if output == MSEG_OUTPUT else ()
    return (*others, f'{_PREFIXES[output]}{classifier}')


def _without_unused(state, output, name):
    modules = _unused(output, name)
    starts = tuple(f'{module.removeprefix(_PREFIXES[output])}.' for module in modules)
    used = {key: value for key, value in state.items() if not key.startswith(starts)}
    if len(used) < len(state):
        print_log(
            f'{_PROGRAMS[output]} never calls {", ".join(modules)}: {len(state) - len(used)} '
            'tensors are left out',
            logger='current',
        )
    return used


def _as_program(state, output, name):
    """Add the program's prefix to the backbone's keys."""
    print_log(
        f'{_PROGRAMS[output]} also has {", ".join(_unused(output, name))}, which it never calls: '
        'use load_state_dict(..., strict=False) there',
        logger='current',
    )
    return {
        f'{_PREFIXES[output]}{key}' if key.startswith('base.') else key: value
        for key, value in state.items()
    }


def _known_variant(state, stem_key):
    """Return the name of the published variant that a state dict belongs to."""
    depthwise, widths = describe_stem(state, stem_key)
    name = recognise(depthwise, widths)
    if name is None:
        raise InputError(
            f'a HarDNet{" with depthwise convolutions" if depthwise else ""} with a stem of '
            f'{widths} channels is no published one; {EXPECTED}'
        )
    return name


def _rename(state, modules):
    """Return the state dict with the module of every parameter renamed."""
    renamed = {}
    for key, value in state.items():
        module, _, parameter = key.rpartition('.')
        if module not in modules:
            raise InputError(f'unknown key {key!r}; {EXPECTED}')
        renamed[f'{modules[module]}.{parameter}'] = value
    return renamed


def _roll_classes(state, key, shift):
    """Move the background, which is each prior's first or last class, to the other end."""
    bias = state[key.replace('cls_convs', 'reg_convs').replace('.weight', '.bias')]
    return state[key].unflatten(0, (len(bias) // 4, -1)).roll(shift, dims=1).flatten(0, 1)


def _has_rfb(state):
    """Return whether a state dict, of an original or of ours, contains RFBNet's first block."""
    return any(key.startswith(('Norm.', 'neck.rfb_s.')) for key in state)
