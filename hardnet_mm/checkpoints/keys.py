"""Converts checkpoints of the original HarDNet programs to this plugin's keys, and back.

The variant is recognised by its stem. One table of module names serves all programs and both
directions. The backbones' part of that table is in :mod:`hardnet_mm.backbones.official_keys`, the
necks' and heads' part is here.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..backbones.architectures import ARCHITECTURES, ARCHITECTURES_V2, get_architecture
from ..backbones.official_keys import (
    DFUS_PREFIX,
    MSEG_PREFIX,
    backbone_names,
    block_names,
    conv_module_names,
    describe_stem,
    official_state,
    recognise,
    unwrap,
)
from ..foundation import print_log
from ..utils.errors import InputError
from .paddle import convert_paddle, is_paddle

EXPECTED = (
    'expected is a checkpoint of PingoLH/Pytorch-HarDNet (classification), lzx1413/PytorchSSD '
    "(SSD512, RFBNet512), PingoLH/CenterNet-HarDNet, PingoLH/FCHarDNet, PaddleSeg's FC-HarDNet, "
    'james128333/HarDNet-MSEG or kytimmylai/DFUC2022 (HarDNet-DFUS), or base weights of theirs, on '
    f'one of {[*ARCHITECTURES, *ARCHITECTURES_V2]}'
)
# The keys by which two programs are recognised, and the prefix of the backbone in each.
_MSEG_OUTPUT = 'agg1.conv5.weight'
_DFUS_OUTPUT = 'head.class_seg.weight'
LAWIN_RATIOS = (8, 4, 2)  # repeats hardnet_mm.seg.lawin_head, whose import needs mmseg
_PREFIXES = {_MSEG_OUTPUT: MSEG_PREFIX, _DFUS_OUTPUT: DFUS_PREFIX}
_PROGRAMS = {_MSEG_OUTPUT: 'HarDNet-MSEG', _DFUS_OUTPUT: 'HarDNet-DFUS'}

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
        InputError: If a key belongs to none of the originals.

    Examples:
        >>> from hardnet_mm.checkpoints import convert_official
        >>> state = convert_official(torch.load('hardnet68.pth'))  # doctest: +SKIP
        >>> model.backbone.load_state_dict(  # doctest: +SKIP
        ...     {k[9:]: v for k, v in state.items() if k.startswith('backbone.')})
    """
    if is_paddle(unwrap(state_dict)):
        return convert_paddle(unwrap(state_dict))
    state = official_state(state_dict)
    if state is None:
        raise InputError(f'no original checkpoint: its keys are {_head(state_dict)}; {EXPECTED}')
    name = _known_variant(state, 'base.{}.conv.weight')
    program = _program(state)
    if program:
        state = _without_unused(state, program, name)
    ours = _rename(state, _module_names(name, _has_rfb(state)))
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
    names = _module_names(name, _has_rfb(state))
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
    others = UNUSED_IN_MSEG if output == _MSEG_OUTPUT else ()
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
        f'{_PROGRAMS[output]} has {", ".join(_unused(output, name))} besides, which it never '
        'calls: load_state_dict(..., strict=False) there',
        logger='current',
    )
    return {
        f'{_PREFIXES[output]}{key}' if key.startswith('base.') else key: value
        for key, value in state.items()
    }


def _head(state_dict):
    return f'{list(unwrap(state_dict))[:3]}...'


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


def _module_names(name, rfb):
    """Return ``{module of an original: module of ours}`` for all programs on a variant.

    SSD and RFBNet use the same names for different layers, so ``rfb`` chooses one of them.
    """
    if name in ARCHITECTURES_V2:
        others = tuple(_dfus())
    elif name == 'fchardnet70':
        others = tuple(_fchardnet(get_architecture(name)))
    else:
        others = (
            *(_rfb(name) if rfb else _ssd(name)),
            *_centernet(get_architecture(name)),
            *_mseg(),
        )
    return dict((*backbone_names(name), *others))


def _ssd(name):
    if name == 'hardnet68':
        yield from _bridge_inside_base()
    else:
        yield from conv_module_names('bridge.1', 'neck.bridge.1')
        yield from conv_module_names('bridge.2', 'neck.bridge.2')
    yield 'L2Norm', 'neck.l2_norm'
    for level in range(7):
        for i in (0, 1):
            yield f'extras.{2 * level + i}', f'neck.extra_layers.{level}.{i}.conv'
    yield from _ssd_head()


def _rfb(name):
    if name == 'hardnet68':  # RFBNet on HarDNet85 has no bridge
        yield from _bridge_inside_base()
    yield from _receptive_field_block('Norm', 'neck.rfb_s', (2, 3, 3, 4))
    for i in range(5):
        yield from _receptive_field_block(f'extras.{i}', f'neck.blocks.{i}', (3, 4))
    for i in (0, 1):
        yield from _same_parts(f'extras.{5 + i}', f'neck.extra_layers.0.{i}')
    yield from _ssd_head()


def _receptive_field_block(theirs, ours, lengths):
    """Yield the pairs of names of a block; ``lengths`` are the numbers of layers a branch."""
    for branch, length in enumerate(lengths):
        for i in range(length):
            yield from _same_parts(f'{theirs}.branch{branch}.{i}', f'{ours}.branches.{branch}.{i}')
    yield from _same_parts(f'{theirs}.ConvLinear', f'{ours}.linear')
    yield from _same_parts(f'{theirs}.shortcut', f'{ours}.shortcut')


def _same_parts(theirs, ours):
    """Yield the pairs of names of a convolution and its norm, which both call as mmcv does."""
    for part in ('conv', 'bn'):
        yield f'{theirs}.{part}', f'{ours}.{part}'


def _bridge_inside_base():
    """Yield the pairs of names of HarDNet68's bridge, which replaces the last pooling layer."""
    yield 'base.13.1', 'neck.bridge.1.conv'
    yield 'base.13.2', 'neck.bridge.1.bn'
    yield from conv_module_names('base.13.4', 'neck.bridge.2')


def _ssd_head():
    for level in range(7):
        yield f'loc.{level}', f'bbox_head.reg_convs.{level}.0'
        yield f'conf.{level}', f'bbox_head.cls_convs.{level}.0'


def _centernet(arch):
    yield from conv_module_names('last_proj', 'neck.projections.0')
    yield from block_names('last_blk', 'neck.blocks.0', 8, arch)
    for i, num_layers in enumerate((8, 8, 4)):
        yield from conv_module_names(f'conv1x1_up.{i}', f'neck.projections.{i + 1}')
        yield from block_names(f'denseBlocksUp.{i}', f'neck.blocks.{i + 1}', num_layers, arch)
    for i in (0, 2):
        yield f'hm.{i}', f'bbox_head.heatmap_head.{i}'
        yield f'wh.{i}', f'bbox_head.wh_head.{i}'


def _fchardnet(arch):
    for i, num_layers in enumerate(reversed(arch['num_layers'][:-1])):
        yield from conv_module_names(f'conv1x1_up.{i}', f'decode_head.projections.{i}')
        yield from block_names(f'denseBlocksUp.{i}', f'decode_head.blocks.{i}', num_layers, arch)
    yield 'finalConv', 'decode_head.conv_seg'


def _mseg():
    for block, theirs in enumerate(('rfb2_1', 'rfb3_1', 'rfb4_1')):
        ours = f'decode_head.receptive_fields.{block}'
        layers = {f'branch{i}.{j}': f'branches.{i}.{j}' for i in (1, 2, 3) for j in range(4)}
        layers['branch0.0'] = 'branches.0.0'
        layers.update(conv_cat='fusion.0', conv_res='shortcut.0')
        for their_layer, our_layer in layers.items():
            yield from _same_parts(f'{theirs}.{their_layer}', f'{ours}.{our_layer}')
    layers = {f'conv_upsample{i + 1}': f'upsampled.{i}' for i in range(5)}
    layers.update(conv_concat2='concatenated.0', conv_concat3='concatenated.1', conv4='last.0')
    for theirs, ours in layers.items():
        yield from _same_parts(f'agg1.{theirs}', f'decode_head.decoder.{ours}')
    yield _MSEG_OUTPUT.removesuffix('.weight'), 'decode_head.conv_seg'


def _dfus():
    ours = 'decode_head'
    for i, ratio in enumerate(LAWIN_RATIOS):
        attention = f'head.lawin_{ratio}', f'{ours}.attentions.{i}'
        for part in ('g', 'theta', 'phi', 'conv_out'):
            yield from _same_parts(*(f'{side}.{part}' for side in attention))
        for mixing in range(ratio**2):
            yield tuple(f'{side}.position_mixing.{mixing}' for side in attention)
        yield f'head.ds_{ratio}.proj', f'{ours}.reductions.{i}.projection'
        yield f'head.ds_{ratio}.norm', f'{ours}.reductions.{i}.norm'
    yield 'head.linear_c1.proj', f'{ours}.low_level'
    for i in range(3):
        yield f'head.linear_c{i + 2}.proj', f'{ours}.embeddings.{i}'
    convs = dict(
        linear_fuse='embeddings_fusion',
        short_path='short_path',
        cat='views_fusion',
        low_level_fuse='low_level_fusion',
    )
    for theirs, our_layer in convs.items():
        yield from _same_parts(f'head.{theirs}', f'{ours}.{our_layer}')
    yield 'head.image_pool.1', f'{ours}.image_pool.1'
    yield _DFUS_OUTPUT.removesuffix('.weight'), f'{ours}.conv_seg'
    yield 'last3_seg', f'{ours}.deep_seg.0'
    yield 'last3_seg2', f'{ours}.deep_seg.1'
