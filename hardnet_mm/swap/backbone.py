"""The backbone swap: replaces a config's backbone by HarDNet, and changes what depends on it."""

import copy
import inspect
import math
from dataclasses import dataclass

from mmengine.config import ConfigDict

from ..backbones import HarDNet
from ..backbones.architectures import get_architecture
from ..checkpoints.published import SCHEME, WEIGHTS
from ..utils.errors import InputError
from .places import kind_of, locate, outward, reach, scope_within
from .probe import Outputs, preprocessor, probe
from .rewiring import difference, rewire

# Arguments with the same meaning in HarDNet and in the toolboxes' ResNets.
SHARED = ('in_channels', 'frozen_stages', 'norm_eval', 'with_cp')
NORMS = ('BN', 'SyncBN', 'MMSyncBN', 'GN')
RGB_MEAN, RGB_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
POOLING = ('GlobalAveragePooling', 'GeneralizedMeanPooling')


@dataclass
class Swap:
    """The plan of a swap.

    Attributes:
        keys (tuple[str]): Keys of the backbone in the config's model.
        old (Outputs): Outputs of the old backbone.
        hardnet (HarDNet): The new backbone.
        pretrained (bool): Whether it starts from the published ImageNet weights.
        differences (dict): The entries of the config that change.
    """

    keys: tuple
    old: Outputs
    hardnet: HarDNet
    pretrained: bool
    differences: dict


def swap(cfg, arch, pretrained=True, path=None, outputs=None):
    """Return the changes to a config that replace its backbone by HarDNet.

    The old backbone is built and run once, to find the channels and strides of its outputs.

    Args:
        cfg (Config): A config of any toolbox built on mmengine.
        arch (str): Name of a published variant of :class:`HarDNet`.
        pretrained (bool): Whether to start from the published ImageNet weights if the config starts
            from pretrained weights. Defaults to True.
        path (str, optional): Path of the backbone in the model, such as ``student.backbone``.
            Defaults to None: it is searched.
        outputs (Outputs, optional): Outputs of the old backbone, for one that cannot be built here.
            Defaults to None: the old backbone is run.

    Returns:
        dict: The entries of the config that change, nested as in the config. A config with these
        entries and a ``_base_`` that names the old config is the new one.

    Raises:
        InputError: If HarDNet cannot replace the config's backbone. The message says why.
        ValueError: If ``arch`` is not a published variant.

    Examples:
        >>> from hardnet_mm.utils.configs import read_config
        >>> cfg = read_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
        >>> swap(cfg, 'hardnet68')['model']['neck']
        {'in_channels': [128, 320, 640, 1024]}
    """
    return plan_swap(cfg, arch, pretrained, path, outputs).differences


def plan_swap(cfg, arch, pretrained=True, path=None, outputs=None):
    """Return the plan of a swap, with the arguments and errors of :func:`swap`.

    Returns:
        Swap: The plan.
    """
    get_architecture(arch)
    keys = locate(cfg.model, cfg.default_scope, path)
    model, name = reach(cfg.model, keys[:-1]), keys[-1]
    backbone = model[name]
    old = outputs or probe(cfg, backbone, scope_within(cfg.model, keys))
    swapped = copy.deepcopy(model)
    if not old.strides:
        _pool(swapped, backbone, old.channels[0])
    kind = 'mmpretrain.HarDNet' if takes_tensor(model, old) else 'HarDNet'
    new = dict(type=kind, arch=arch, **_levels(swapped, backbone, old, arch))
    new.update({key: backbone[key] for key in SHARED if key in backbone and key not in new})
    new.setdefault('in_channels', old.image_channels)
    if 'norm_cfg' in backbone and backbone.norm_cfg.get('type') in NORMS:
        new['norm_cfg'] = backbone.norm_cfg
    defaults = inspect.signature(HarDNet).parameters
    new = {k: v for k, v in new.items() if k not in defaults or v != defaults[k].default}
    hardnet = HarDNet(**{key: value for key, value in new.items() if key != 'type'})
    if hardnet.out_strides != old.strides and not _is_pooled(swapped, old):
        raise InputError(
            f'the config wants strides {old.strides}, HarDNet gives {hardnet.out_strides}'
        )

    around = _parts_that_load(cfg.model, keys)
    was_pretrained = _loads(backbone) or model.get('pretrained') or around
    pretrained = bool(pretrained and was_pretrained and arch in WEIGHTS)
    if pretrained:
        new['init_cfg'] = dict(type='Pretrained', checkpoint=SCHEME + arch)
    else:  # random weights must not be frozen, nor norms keep their initial statistics
        for key in ('frozen_stages', 'norm_eval'):
            new.pop(key, None)
        if not new.get('norm_cfg', {}).get('requires_grad', True):
            new['norm_cfg'] = dict(new['norm_cfg'], requires_grad=True)
    if model.get('pretrained'):
        swapped.pretrained = None
    rewire(swapped, old.channels, hardnet.channels, name)
    differences = {name: dict(_delete_=True, **new), **difference(model, swapped)}
    differences = dict(custom_imports=_imports(cfg), model=outward(differences, keys[:-1]))
    differences['model'] = _without_weights(differences['model'], around)
    if pretrained and new.get('in_channels', 3) % 3 == 0:
        _normalize(cfg, differences)
    _release_optimizer(cfg, hardnet, name, differences)
    if cfg.get('load_from'):
        differences['load_from'] = None  # its weights are of the old backbone
    return Swap(keys, old, hardnet, pretrained, differences)


def _loads(part):
    return 'Pretrained' in str(part.get('init_cfg'))


def _parts_that_load(model, keys):
    """Return the paths of the parts around the backbone that load weights, its own among them."""
    paths = (keys[:depth] for depth in range(len(keys)))
    return [path for path in paths if _loads(reach(model, path))]


def _without_weights(differences, paths):
    """Keep parts from loading weights of the old backbone; HarDNet's own would not be loaded."""
    for path in paths:
        reach(differences, path)['init_cfg'] = None
    return differences


def takes_tensor(model, old):
    """Return whether a recogniser of mmaction takes the old backbone's only output as a tensor.

    From a backbone whose type has mmpretrain's scope, it takes the first output of a tuple.
    """
    return old.bare and kind_of(model).startswith('Recognizer')


def _pool(model, backbone, width):
    """Add pooling of HarDNet's feature maps, for a backbone that returned one vector per image.

    Raises:
        InputError: If the model is not a classifier.
    """
    head, neck = model.get('head'), model.get('neck')
    if not isinstance(head, dict) or isinstance(neck, list) or 'in_channels' in (neck or {}):
        raise InputError(
            f'{kind_of(backbone)} returns a vector per image, but HarDNet returns feature maps: '
            'the module after it in this config cannot take them'
        )
    if kind_of(head) == 'ClsHead' and width == backbone.get('num_classes'):
        # The old backbone has the classifier inside.
        head.update(type='LinearClsHead', num_classes=width, in_channels=width)
    pooling = ConfigDict(type='GlobalAveragePooling')
    model.neck = [pooling, neck] if neck else pooling


def _is_pooled(model, old):
    """Return whether only the mean of one output is used, so that its stride does not matter."""
    neck = model.get('neck')
    neck = neck[0] if isinstance(neck, list) and neck else neck
    return len(old.channels) == 1 and isinstance(neck, dict) and kind_of(neck) in POOLING


def _levels(model, backbone, old, arch):
    """Return HarDNet's ``out_indices`` for a model, and its strides and dilations."""
    last = sum(get_architecture(arch)['downsample'])
    deepest = 4 * 2**last
    if _is_pooled(model, old) and (not old.strides or old.strides[0] > deepest):
        return dict(out_indices=(last,))
    return select_levels(backbone, old.strides, arch)


def select_levels(backbone, strides, arch):
    """Return HarDNet's arguments for outputs at the old backbone's strides.

    From a backbone with a ResNet's arguments, ``out_indices``, ``strides`` and ``dilations`` are
    copied. For any other backbone, each output comes from HarDNet's stage with the same stride. If
    an output has the same stride as the one before it, it comes from the next stage, with dilation.

    Args:
        backbone (ConfigDict): Config of the old backbone.
        strides (tuple[int]): Strides of its outputs, in pixels, ascending.
        arch (str): Name of a published variant.

    Returns:
        dict: ``out_indices``, and ``strides`` and ``dilations`` where they are not the defaults.

    Raises:
        InputError: If HarDNet has no such stages.
    """
    last = sum(get_architecture(arch)['downsample'])
    if 'dilations' in backbone and 'out_indices' in backbone:
        levels = dict(out_indices=tuple(backbone.out_indices))
        plain, rest = (1, *[2] * last), last + 1 - len(backbone.dilations)
        stage_strides = (*backbone.get('strides', plain[: len(plain) - rest]), *[2] * rest)
        if max(backbone.dilations) == 1 and stage_strides == plain:
            return levels
        return dict(levels, strides=stage_strides, dilations=(*backbone.dilations, *[1] * rest))
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


def _imports(cfg):
    imports = cfg.get('custom_imports', {}).get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    return dict(imports=[*imports, 'hardnet_mm'], allow_failed_imports=False)


def _normalize(cfg, differences):
    """Normalise images as the ImageNet weights expect: RGB, ImageNet's mean and deviation."""
    inside = 'data_preprocessor' in cfg.model
    old = preprocessor(cfg)
    images = max(1, len(old.get('mean') or []) // 3)  # several may come as one, channel by channel
    wanted = {'mean': RGB_MEAN * images, 'std': RGB_STD * images}
    switch = _channel_switch(cfg, old)
    if switch:
        wanted[switch] = True
    changed = {key: value for key, value in wanted.items() if old.get(key) != value}
    if changed and 'mean' in old:
        nested = 'data_preprocessor' in (cfg.model if inside else cfg).data_preprocessor
        changed = dict(data_preprocessor=changed) if nested else changed
        (differences['model'] if inside else differences)['data_preprocessor'] = changed


def _channel_switch(cfg, settings):
    """Return a data preprocessor's argument that converts BGR to RGB; None for RGB videos."""
    for key in ('bgr_to_rgb', 'to_rgb'):
        if key in settings:
            return key
    if "Decode'" in str(cfg.get('train_pipeline')):  # mmaction's transforms decode to RGB
        return None
    return 'to_rgb' if cfg.default_scope == 'mmpretrain' else 'bgr_to_rgb'


def _release_optimizer(cfg, hardnet, name, differences):
    """Drop settings that name the old backbone's layers."""
    wrapper = cfg.get('optim_wrapper') or {}
    keys = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [f'{name}.{parameter}' for parameter, _ in hardnet.named_parameters()]

    def is_there(key):
        inside = key[key.find(f'{name}.') :]
        return f'{name}.' not in key or any(inside in parameter for parameter in names)

    kept = {key: value for key, value in keys.items() if is_there(key)}
    changes = {}
    if len(kept) < len(keys):
        changes['paramwise_cfg'] = dict(custom_keys=dict(_delete_=True, **kept))
    if 'LayerDecay' in str(wrapper.get('constructor')) or (
        'LearningRateDecay' in str(wrapper.get('constructor')) and cfg.default_scope != 'mmpretrain'
    ):
        changes = dict(constructor='DefaultOptimWrapperConstructor', paramwise_cfg=None)
    if changes:
        differences['optim_wrapper'] = changes
