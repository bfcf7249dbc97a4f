"""The published variants of HarDNet: what an ``arch`` name of :class:`HarDNet` stands for."""

# One entry a block in all but growth_multiplier; a block with downsample ends a stage.
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
)

# What every dict must have, and what it may leave out.
PER_BLOCK_FIELDS = ('growth_rates', 'num_layers', 'transition_channels', 'downsample')
REQUIRED_FIELDS = ('stem_channels', 'growth_multiplier', *PER_BLOCK_FIELDS)
OPTIONAL_FIELDS = dict(
    stem_strides=(2, 1),
    stem_pool=True,
    depthwise=False,
    pool='max',
    act='InPlaceReLU6',
    dropout=0.0,
)


def get_architecture(arch):
    """Return the complete fields of a variant.

    Args:
        arch (str | dict): A name of :data:`ARCHITECTURES`, or a dict of the same fields.

    Returns:
        dict: Every field of :data:`REQUIRED_FIELDS` and :data:`OPTIONAL_FIELDS`.

    Raises:
        ValueError: If the name is unknown, or the dict's fields are not those of a variant.
        TypeError: If ``arch`` is neither a string nor a dict.
    """
    if isinstance(arch, str):
        if arch not in ARCHITECTURES:
            raise ValueError(f'unknown arch {arch!r}: allowed are {list(ARCHITECTURES)} or a dict')
        return {**OPTIONAL_FIELDS, **ARCHITECTURES[arch]}
    if not isinstance(arch, dict):
        raise TypeError(f'arch must be a name or a dict, got {type(arch).__name__}')
    missing = [field for field in REQUIRED_FIELDS if field not in arch]
    unknown = [field for field in arch if field not in (*REQUIRED_FIELDS, *OPTIONAL_FIELDS)]
    if missing or unknown:
        raise ValueError(
            f'arch dict lacks {missing} and has unknown {unknown}: '
            f'needed are {list(REQUIRED_FIELDS)}, optional are {list(OPTIONAL_FIELDS)}'
        )
    arch = {**OPTIONAL_FIELDS, **arch}
    lengths = {field: len(arch[field]) for field in PER_BLOCK_FIELDS}
    if len(set(lengths.values())) != 1:
        raise ValueError(f'arch fields with one value a block differ in length: {lengths}')
    if len(arch['stem_channels']) != len(arch['stem_strides']):
        raise ValueError(
            f'stem_channels {arch["stem_channels"]} and stem_strides {arch["stem_strides"]} '
            'differ in length'
        )
    return arch


def group_blocks(downsample):
    """Return the numbers of the blocks of each stage: one ends where a block is downsampled.

    >>> group_blocks((1, 0, 1, 1, 0))
    [[0], [1, 2], [3], [4]]
    """
    stages = [[]]
    for number, ends in enumerate(downsample):
        stages[-1].append(number)
        if ends and number < len(downsample) - 1:
            stages.append([])
    return stages
