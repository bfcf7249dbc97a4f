"""The published variants of HarDNet, and the plan of a backbone's stages that follows from one."""

from collections.abc import Sequence
from typing import NamedTuple

# Every field but growth_multiplier has a value per block; a block with downsample ends a stage.
_HARDNET39 = dict(
    growth_multiplier=1.6,
    growth_rates=(16, 20, 64, 160),
    num_layers=(4, 16, 8, 4),
    transition_channels=(96, 320, 640, 1024),
    downsample=(1, 1, 1, 0),
)
_HARDNET68 = dict(
    growth_multiplier=1.7,
    growth_rates=(14, 16, 20, 40, 160),
    num_layers=(8, 16, 16, 16, 4),
    transition_channels=(128, 256, 320, 640, 1024),
    downsample=(1, 0, 1, 1, 0),
)
_HARDNET85 = dict(
    growth_multiplier=1.7,
    growth_rates=(24, 24, 28, 36, 48, 256),
    num_layers=(8, 16, 16, 16, 16, 4),
    transition_channels=(192, 256, 320, 480, 720, 1280),
    downsample=(1, 0, 1, 0, 1, 0),
)
_FCHARDNET70 = dict(
    growth_multiplier=1.7,
    growth_rates=(10, 16, 18, 24, 32),
    num_layers=(4, 4, 8, 8, 8),
    transition_channels=(64, 96, 160, 224, 320),
    downsample=(1, 1, 1, 1, 0),
)

ARCHITECTURES = dict(
    hardnet39ds=dict(stem_channels=(24, 48), depthwise=True, **_HARDNET39),
    hardnet68ds=dict(stem_channels=(32, 64), depthwise=True, **_HARDNET68),
    hardnet68=dict(stem_channels=(32, 64), **_HARDNET68),
    hardnet85=dict(stem_channels=(48, 96), dropout=0.1, **_HARDNET85),
    fchardnet70=dict(
        stem_channels=(16, 24, 32, 48),
        stem_strides=(2, 1, 2, 1),
        stem_pool=False,
        pool='avg',
        act='ReLU',
        **_FCHARDNET70,
    ),
    # PaddleSeg's: twice the side of every map, four times the multiply-adds
    fchardnet70_paddle=dict(
        stem_channels=(16, 24, 32, 48),
        stem_strides=(1, 1, 2, 1),
        stem_padding='same',
        stem_pool=False,
        pool='avg',
        act='ReLU',
        **_FCHARDNET70,
    ),
)

# Probability of dropping a channel before the linear layer of the originals' classifiers.
HEAD_DROPOUT = dict(hardnet39ds=0.05, hardnet68ds=0.05, hardnet68=0.1, hardnet85=0.2)

# A block of HarDNetV2 is as wide as its input. Its growth rate follows from its number of layers.
ARCHITECTURES_V2 = dict(
    hardnetv2_53=dict(
        stem_channels=(30, 60),
        num_layers=(9, 9, 15, 9, 3),
        out_nodes=((3, 6), (3, 6), (3, 6, 9, 12), (3, 6), (2,)),
        transition_channels=(120, 240, 540, 800, 1200),
        downsample=(1, 0, 1, 1, 0),
    ),
)

# How the stem's strided convolutions are padded: by one position on each side, or, as 'same' of
# Paddle and TensorFlow, only as far as the last window needs it.
STEM_PADDINGS = ('symmetric', 'same')
# Fields that every dict must have, and those that it may leave out.
PER_BLOCK_FIELDS = ('growth_rates', 'num_layers', 'transition_channels', 'downsample')
REQUIRED_FIELDS = ('stem_channels', 'growth_multiplier', *PER_BLOCK_FIELDS)
OPTIONAL_FIELDS = dict(
    stem_strides=(2, 1),
    stem_padding='symmetric',
    stem_pool=True,
    depthwise=False,
    pool='max',
    act='InPlaceReLU6',
    dropout=0.0,
)
# The same for HarDNetV2. out_nodes are the nodes in a block's output, besides the last layer.
PER_BLOCK_FIELDS_V2 = ('num_layers', 'out_nodes', 'transition_channels', 'downsample')
REQUIRED_FIELDS_V2 = ('stem_channels', *PER_BLOCK_FIELDS_V2)
OPTIONAL_FIELDS_V2 = dict(stem_strides=(2, 1), act='InPlaceReLU6')


def get_architecture(arch: str | dict) -> dict:
    """Return the complete fields of a variant.

    Args:
        arch (str | dict): A name of :data:`ARCHITECTURES`, or a dict of the same fields.

    Returns:
        dict: Every field of :data:`REQUIRED_FIELDS` and :data:`OPTIONAL_FIELDS`.

    Raises:
        ValueError: If the name is unknown, or the dict's fields are not those of a variant.
        TypeError: If ``arch`` is neither a string nor a dict.
    """
    fields = _complete(arch, ARCHITECTURES, REQUIRED_FIELDS, PER_BLOCK_FIELDS, OPTIONAL_FIELDS)
    if fields['stem_padding'] not in STEM_PADDINGS:
        raise ValueError(
            f'stem_padding must be one of {STEM_PADDINGS}, got {fields["stem_padding"]!r}'
        )
    return fields


def get_architecture_v2(arch: str | dict) -> dict:
    """Return the complete fields of a variant of HarDNetV2, as :func:`get_architecture` does.

    Args:
        arch (str | dict): A name of :data:`ARCHITECTURES_V2`, or a dict of the same fields.

    Returns:
        dict: Every field of :data:`REQUIRED_FIELDS_V2` and :data:`OPTIONAL_FIELDS_V2`.

    Raises:
        ValueError: If the name is unknown, or the dict's fields are not those of a variant.
        TypeError: If ``arch`` is neither a string nor a dict.
    """
    return _complete(
        arch, ARCHITECTURES_V2, REQUIRED_FIELDS_V2, PER_BLOCK_FIELDS_V2, OPTIONAL_FIELDS_V2
    )


def _complete(arch, published, required, per_block, optional):
    if isinstance(arch, str):
        if arch not in published:
            raise ValueError(f'unknown arch {arch!r}: allowed are {list(published)} or a dict')
        return {**optional, **published[arch]}
    if not isinstance(arch, dict):
        raise TypeError(f'arch must be a name or a dict, got {type(arch).__name__}')
    missing = [field for field in required if field not in arch]
    unknown = [field for field in arch if field not in (*required, *optional)]
    if missing or unknown:
        raise ValueError(
            f'arch dict lacks {missing} and has unknown {unknown}: '
            f'needed are {list(required)}, optional are {list(optional)}'
        )
    arch = {**optional, **arch}
    lengths = {field: len(arch[field]) for field in per_block}
    if len(set(lengths.values())) != 1:
        raise ValueError(f'arch fields with one value a block differ in length: {lengths}')
    if len(arch['stem_channels']) != len(arch['stem_strides']):
        raise ValueError(
            f'stem_channels {arch["stem_channels"]} and stem_strides {arch["stem_strides"]} '
            'differ in length'
        )
    return arch


class BlockPlan(NamedTuple):
    """A block and the transition (Conv1x1) after it."""

    growth_rate: int
    num_layers: int
    dropout: float  # before the transition
    transition_channels: int | None  # None: no output needs the transition, so it is not built


class StagePlan(NamedTuple):
    """A stage: a downsampling layer, then blocks."""

    downsample: str | None  # 'conv', 'pool', 'pool3x3', or None: the stage begins with its block
    stride: int
    ceil_mode: bool  # of the pool
    dilation: int  # of the blocks
    blocks: list[BlockPlan]


def plan_stages(
    arch: dict,
    out_indices: Sequence[int | str],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    ceil_mode: bool | Sequence[bool] = False,
) -> list[StagePlan]:
    """Plan a backbone's stages, down to its deepest output.

    All arguments but the first are those of :class:`~hardnet_mm.backbones.HarDNet`.

    Args:
        arch (dict): Fields of a variant, from :func:`get_architecture`.
        out_indices (Sequence[int | str]): The outputs.
        strides (Sequence[int], optional): Stride of each stage. Defaults to None: 1 2 2 2.
        dilations (Sequence[int], optional): Dilation of each stage's blocks. Defaults to None: 1.
        ceil_mode (bool | Sequence[bool]): Rounding of the stages' pools. Defaults to False.

    Returns:
        list[StagePlan]: A plan for each stage.

    Raises:
        ValueError: If an argument is none of the allowed values.
    """
    groups = group_blocks(arch['downsample'])
    num_stages = count_stages(out_indices, len(arch['stem_channels']), len(groups))
    strides = tuple(strides or (1,) + (2,) * (len(groups) - 1))
    dilations = tuple(dilations or (1,) * len(groups))
    if isinstance(ceil_mode, bool):
        ceil_mode = (ceil_mode,) * len(groups)
    for name, values in dict(ceil_mode=ceil_mode, strides=strides, dilations=dilations).items():
        if len(values) < num_stages:
            raise ValueError(
                f'{name} must have a value for each of {num_stages} stages, got {values}'
            )
    if strides[0] != 1 or not set(strides) <= {1, 2}:
        raise ValueError(f'strides must be 1, then each 1 or 2, got {strides}')
    strides = (1 + arch['stem_pool'], *strides[1:])
    plan = []
    for index, numbers in enumerate(groups[:num_stages]):
        downsample = _kind_of_downsample(arch, index, strides[index])
        blocks = [_plan_block(arch, number) for number in numbers]
        if index == num_stages - 1 and index not in out_indices:
            # the deepest output is before the last transition
            blocks[-1] = blocks[-1]._replace(transition_channels=None)
        plan.append(
            StagePlan(downsample, strides[index], ceil_mode[index], dilations[index], blocks)
        )
    return plan


def count_stages(out_indices, num_stem_layers, num_stages):
    """Return the number of stages down to the deepest output; refuse unknown ``out_indices``."""
    depth = {f'stem{i}': 0 for i in range(num_stem_layers)}
    for index in range(num_stages):
        depth[f'block{index}'] = depth[index] = index + 1
    if not out_indices or any(index not in depth for index in out_indices):
        raise ValueError(f'out_indices must be some of {list(depth)}, got {out_indices}')
    return max(depth[index] for index in out_indices)


def _kind_of_downsample(arch, index, stride):
    if index == 0 and not arch['stem_pool']:
        return None
    if arch['depthwise']:
        return 'conv'
    if stride == 1:
        return None
    return 'pool' if index else 'pool3x3'


def _plan_block(arch, number):
    last = number == len(arch['downsample']) - 1
    return BlockPlan(
        arch['growth_rates'][number],
        arch['num_layers'][number],
        arch['dropout'] if last else 0.0,
        arch['transition_channels'][number],
    )


def group_blocks(downsample: Sequence[int]) -> list[list[int]]:
    """Return the indices of each stage's blocks. A block with downsampling ends a stage.

    >>> group_blocks((1, 0, 1, 1, 0))
    [[0], [1, 2], [3], [4]]
    """
    stages: list[list[int]] = [[]]
    for number, ends in enumerate(downsample):
        stages[-1].append(number)
        if ends and number < len(downsample) - 1:
            stages.append([])
    return stages
