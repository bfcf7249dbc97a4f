"""Names of the originals' modules and of this plugin's, in one table for all programs.

The backbones' part of the table is in :mod:`hardnet_mm.backbones.official_keys`, the necks' and
heads' part is here. Generators yield pairs of names, the original's first.
"""

from ..backbones.architectures import ARCHITECTURES_V2, get_architecture
from ..backbones.official_keys import backbone_names, block_names, conv_module_names

# The last layers of HarDNet-MSEG and HarDNet-DFUS, whose keys identify these programs.
MSEG_OUTPUT = 'agg1.conv5.weight'
DFUS_OUTPUT = 'head.class_seg.weight'
LAWIN_RATIOS = (8, 4, 2)  # repeats hardnet_mm.seg.lawin_head, whose import needs mmseg


def module_names(name: str, rfb: bool) -> dict[str, str]:
    """Return ``{module of an original: module of ours}`` for all programs on a variant.

    Args:
        name (str): Name of a published variant.
        rfb (bool): Whether to return RFBNet's names instead of SSD's. The two programs use the same
            names for different layers.

    Returns:
        dict[str, str]: Our names of modules, by the originals' names.
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
    yield MSEG_OUTPUT.removesuffix('.weight'), 'decode_head.conv_seg'


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
    yield DFUS_OUTPUT.removesuffix('.weight'), f'{ours}.conv_seg'
    yield 'last3_seg', f'{ours}.deep_seg.0'
    yield 'last3_seg2', f'{ours}.deep_seg.1'
