"""The backbone swap: HarDNet in place of a config's backbone, and what must change with it."""

import copy
import inspect
import math

import torch
from mmengine.registry import DefaultScope

from ..backbones import HarDNet
from ..backbones.architectures import get_architecture
from ..checkpoints.published import SCHEME, WEIGHTS
from ..utils.configs import without_checkpoints
from ..utils.errors import InputError
from ..utils.toolboxes import register_toolbox

PROBE_SIZE = 256
# Arguments that mean the same to HarDNet and to the toolboxes' ResNets.
KEPT = ('in_channels', 'frozen_stages', 'norm_eval', 'with_cp')
JPU_CHANNELS, JPU_DILATIONS = 512, (1, 2, 4, 8)  # mmseg's defaults
NORMS = ('BN', 'SyncBN', 'MMSyncBN', 'GN')
RGB_MEAN, RGB_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def swap(cfg, arch, pretrained=True):
    """Return what must change in a config so that HarDNet takes its backbone's place.

    The old backbone is built and run once, to learn its outputs' channels and strides.

    Args:
        cfg (Config): A config of mmdet, mmseg or mmpretrain.
        arch (str): Name of a published variant, as of :class:`HarDNet`.
        pretrained (bool): Whether to start from the published ImageNet weights where the config
            started from some. Defaults to True.

    Returns:
        dict: The entries of the config that change, nested as in the config. A config with these
        entries and a ``_base_`` that names the old config is the new one.

    Raises:
        InputError: If HarDNet cannot replace the config's backbone. The message says why.
        ValueError: If ``arch`` is no published variant.

    Examples:
        >>> from hardnet_mm.utils.configs import read_config
        >>> cfg = read_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
        >>> swap(cfg, 'hardnet68')['model']['neck']
        {'in_channels': [128, 320, 640, 1024]}
    """
    get_architecture(arch)
    model = holder(cfg.model)
    backbone = model.get('backbone')
    if not isinstance(backbone, dict):
        raise InputError(f'{model.get("type")} has no model.backbone dict to replace')
    channels, strides = probe(backbone, cfg.default_scope)
    new = dict(type='HarDNet', arch=arch, **select_levels(backbone, strides, arch))
    new.update({key: backbone[key] for key in KEPT if key in backbone and key not in new})
    if 'norm_cfg' in backbone and backbone.norm_cfg.get('type') in NORMS:
        new['norm_cfg'] = backbone.norm_cfg
    defaults = inspect.signature(HarDNet).parameters
    new = {k: v for k, v in new.items() if k not in defaults or v != defaults[k].default}
    hardnet = HarDNet(**{key: value for key, value in new.items() if key != 'type'})
    if hardnet.out_strides != strides:
        raise InputError(f'the config wants strides {strides}, HarDNet gives {hardnet.out_strides}')

    was_pretrained = 'Pretrained' in str(backbone.get('init_cfg')) or model.get('pretrained')
    pretrained = pretrained and was_pretrained and arch in WEIGHTS
    if pretrained:
        new['init_cfg'] = dict(type='Pretrained', checkpoint=SCHEME + arch)
    else:  # random weights must not be frozen, nor norms keep their initial statistics
        for key in ('frozen_stages', 'norm_eval'):
            new.pop(key, None)
        if not new.get('norm_cfg', {}).get('requires_grad', True):
            new['norm_cfg'] = dict(new['norm_cfg'], requires_grad=True)
    swapped = copy.deepcopy(model)
    if model.get('pretrained'):
        swapped.pretrained = None
    rewire(swapped, channels, hardnet.channels)
    differences = dict(backbone=dict(_delete_=True, **new), **difference(model, swapped))
    differences = dict(custom_imports=_imports(cfg), model=_outward(cfg.model, differences))
    if pretrained:
        _normalize(cfg, differences)
    _release_optimizer(cfg, hardnet, differences)
    if cfg.get('load_from'):
        differences['load_from'] = None  # its weights are of the old backbone
    return differences


def holder(model):
    """Return the part of a model's config that has the backbone.

    That is the model itself. In a semi-supervised model it is the detector of which student and
    teacher are built.
    """
    inside = model.get('detector')
    return inside if 'backbone' not in model and isinstance(inside, dict) else model


def _outward(model, differences):
    """Nest differences of the part that :func:`holder` returns as differences of the model."""
    return differences if holder(model) is model else dict(detector=differences)


def probe(backbone, scope):
    """Return the channels and the strides of a backbone's outputs, found by running the backbone.

    Args:
        backbone (ConfigDict): Config of the backbone.
        scope (str): The registry's scope: mmdet, mmseg or mmpretrain.

    Returns:
        tuple[tuple[int], tuple[int]]: A number of channels and a stride, in pixels, an output.

    Raises:
        InputError: If the outputs are no feature maps, or are not ordered from shallow to deep.
        NotImplementedError: If an operator of mmcv is missing.
    """
    registry = register_toolbox(scope).MODELS
    settings = without_checkpoints(backbone)
    settings.pop('dcn', None)  # changes no shape, and may need compiled operators
    with DefaultScope.overwrite_default_scope(scope), torch.no_grad():
        old = registry.build(settings)
        old.eval()  # some return nothing from it
        try:
            outputs = old(torch.zeros(1, settings.get('in_channels', 3), PROBE_SIZE, PROBE_SIZE))
        except NotImplementedError:
            raise  # a missing operator of mmcv
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f'{backbone.type} does not run on {PROBE_SIZE} x {PROBE_SIZE} pixels, so what it '
                f'gives is not known: {error}'
            ) from error
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    if not all(isinstance(output, torch.Tensor) and output.dim() == 4 for output in outputs):
        raise InputError(
            f'{backbone.type} gives tokens or others, but HarDNet gives feature maps: what follows '
            'it in this config cannot take them'
        )
    strides = tuple(PROBE_SIZE // output.shape[-1] for output in outputs)
    if list(strides) != sorted(strides):
        raise InputError(f'the outputs must go from shallow to deep, got the strides {strides}')
    return tuple(output.shape[1] for output in outputs), strides


def select_levels(backbone, strides, arch):
    """Return the arguments by which HarDNet gives outputs at the old backbone's strides.

    A backbone that counts its stages as a ResNet does hands its ``out_indices``, ``strides`` and
    ``dilations`` on. For any other, each output comes from HarDNet's stage of the same stride. An
    output of the same stride as the output before it comes from the next stage, which is dilated.

    Args:
        backbone (ConfigDict): Config of the old backbone.
        strides (tuple[int]): Strides of its outputs, in pixels, ascending.
        arch (str): Name of a published variant.

    Returns:
        dict: ``out_indices``, and ``strides`` and ``dilations`` where they are not the defaults.

    Raises:
        InputError: If HarDNet has no such stages.
    """
    if 'dilations' in backbone and 'out_indices' in backbone:
        levels = dict(out_indices=tuple(backbone.out_indices))
        if max(backbone.dilations) == 1:
            return levels
        return dict(levels, strides=backbone.strides, dilations=backbone.dilations)
    last = sum(get_architecture(arch)['downsample'])
    levels, stage_strides, dilations = [], [1] + [2] * last, [1] * (last + 1)
    stage, previous = -1, 2
    for stride in strides:
        steps = math.log2(stride / previous)
        if stride == 2:
            levels.append('stem1')  # the stem's last layer
            continue
        stage += max(1, int(steps))
        if steps != int(steps) or stride < 4 or stage > last:
            raise InputError(
                f'the config wants outputs at strides {strides}; {arch} has {last + 1} stages, at '
                f'strides {[4 * 2**i for i in range(last + 1)]}, and its stem at 2'
            )
        if steps == 0 and stage == 1:
            raise InputError(
                f'the outputs are a stack, at strides {strides}; HarDNet gives one map'
            )
        if steps == 0:
            stage_strides[stage] = 1
            dilations[stage:] = [2 * dilations[stage - 1]] * (last + 1 - stage)
        levels.append(stage)
        previous = stride
    if max(dilations) == 1:
        return dict(out_indices=tuple(levels))
    return dict(out_indices=tuple(levels), strides=stage_strides, dilations=dilations)


def rewire(model, old, new):
    """Change the input channels of the modules that read the backbone's outputs.

    Those are the neck's, and the heads' where there is no neck or where the neck passes outputs of
    the backbone on.

    Args:
        model (ConfigDict): Config of the model, changed in place.
        old (tuple[int]): Channels of the old backbone's outputs.
        new (tuple[int]): Channels of the new backbone's outputs.

    Raises:
        InputError: If a RoI head contains a stage of a ResNet.
    """
    neck = model.get('neck') or []
    for part in neck if isinstance(neck, list) else [neck]:
        old_out, changed = part.get('out_channels'), _rewire_part(part, old, new)
        if not changed:
            continue
        if part.type == 'JPU':  # passes all outputs but the last on, beside its own
            own = len(part.get('dilations', JPU_DILATIONS)) * part.get('mid_channels', JPU_CHANNELS)
            first = part.get('start_level', 0)
            old, new = ((*widths[first:-1], own) for widths in (old, new))
            break
        if isinstance(old_out, (list, tuple)) and tuple(old_out[: len(old)]) == tuple(old):
            # SSD's neck, whose outputs all go to the head
            part.out_channels = type(old_out)([*new, *old_out[len(old) :]])
            old, new = tuple(old_out), tuple(part.out_channels)
            break
        return
    for key, part in model.items():
        if key not in ('backbone', 'neck', 'data_preprocessor', 'train_cfg', 'test_cfg'):
            for piece in part if isinstance(part, list) else [part]:
                if isinstance(piece, dict):
                    _rewire_part(piece, old, new)


def _rewire_part(part, old, new):
    """Change the input channels of a part of the model, and return whether any changed."""
    if part.get('type') == 'ResLayer':
        raise InputError('the RoI head is the last stage of a ResNet: HarDNet cannot feed it')
    changed = False
    for key, value in part.items():
        if isinstance(value, dict):
            changed |= _rewire_part(value, old, new)
        elif key.endswith('in_channels'):
            translated = _translate(value, part.get('in_index'), old, new)
            changed |= translated is not None
            part[key] = value if translated is None else translated
    return changed


def _translate(value, index, old, new):
    """Return the new channels for a value that names old ones, None for any other value."""
    if isinstance(value, int):
        if value not in old:
            return None
        if isinstance(index, int) and old[index] == value:
            return new[index]
        return dict(zip(old, new))[value]
    if not isinstance(value, (list, tuple)) or not value or not set(value) <= set(old):
        return None
    if tuple(value) == tuple(old):
        return type(value)(new)
    if index is not None:
        return type(value)(new[i] for i in index)
    return type(value)(dict(zip(old, new))[channels] for channels in value)


def difference(old, new):
    """Return the entries of ``new`` that differ from ``old``. A changed list is given whole."""
    return {
        key: difference(old[key], value)
        if isinstance(value, dict) and isinstance(old.get(key), dict)
        else value
        for key, value in new.items()
        if key not in old or old[key] != value
    }


def _imports(cfg):
    imports = cfg.get('custom_imports', {}).get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    return dict(imports=[*imports, 'hardnet_mm'], allow_failed_imports=False)


def _normalize(cfg, differences):
    """Normalise images as the ImageNet weights expect: RGB, ImageNet's mean and deviation."""
    inside = 'data_preprocessor' in cfg.model
    old = cfg.model.data_preprocessor if inside else cfg.get('data_preprocessor', {})
    nested = old.get('data_preprocessor')  # of a semi-supervised model
    old = nested or old
    swapped = 'to_rgb' if cfg.default_scope == 'mmpretrain' else 'bgr_to_rgb'
    wanted = {'mean': RGB_MEAN, 'std': RGB_STD, swapped: True}
    changed = {key: value for key, value in wanted.items() if old.get(key) != value}
    if changed and 'mean' in old:
        changed = dict(data_preprocessor=changed) if nested else changed
        (differences['model'] if inside else differences)['data_preprocessor'] = changed


def _release_optimizer(cfg, hardnet, differences):
    """Drop settings that name the old backbone's layers."""
    wrapper = cfg.get('optim_wrapper') or {}
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [f'backbone.{name}' for name, _ in hardnet.named_parameters()]
    kept = {
        key: value
        for key, value in keys.items()
        if not key.startswith('backbone.') or any(key in name for name in names)
    }
    changes = {}
    if len(kept) < len(keys):
        changes['paramwise_cfg'] = dict(custom_keys=dict(_delete_=True, **kept))
    if 'LayerDecay' in str(wrapper.get('constructor')) or (
        'LearningRateDecay' in str(wrapper.get('constructor')) and cfg.default_scope != 'mmpretrain'
    ):
        changes = dict(constructor='DefaultOptimWrapperConstructor', paramwise_cfg=None)
    if changes:
        differences['optim_wrapper'] = changes
