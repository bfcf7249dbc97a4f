"""Finds the model to predict with, by path or by published name, and loads it."""

import os.path as osp
from dataclasses import dataclass

import matplotlib
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from ..checkpoints.loaders import load_whole
from ..checkpoints.published import SCHEME, WEIGHTS, get_weights
from ..deploy import to_deploy
from ..export.end_to_end import build_end_to_end
from ..export.exported_model import ExportedModel, check_classes
from ..export.formats import is_exported, load
from ..utils.configs import build_model, read_config
from ..utils.datasets import class_colors, class_names, count_classes
from ..utils.errors import InputError
from ..utils.own_files import PREFIX


@dataclass(frozen=True)
class Model:
    """A model that is ready to predict.

    Attributes:
        cfg (Config): The model's config.
        built (BaseModel): The model in PyTorch. Its weights are random if ``network`` is an
            exported file.
        network (nn.Module): The module whose ``test_step`` predicts: ``built``, its inference
            form, or an exported file.
        classes (list[str]): Names of the classes.
        palette (list[tuple]): Colours of the classes: R, G and B of each, 0 to 255.
    """

    cfg: Config
    built: torch.nn.Module
    network: torch.nn.Module
    classes: list
    palette: list


def find_model(name, weights=None):
    """Return the config and the weights that a user's arguments name.

    Args:
        name (str): A config's path, a config's name such as
            ``hardnet_mm::ssd512_hardnet68_coco.py``, or the name of published weights, which
            stands for both a config and weights.
        weights (str | list[str], optional): A checkpoint's path, address or published name, or an
            exported file; several checkpoints are averaged. Defaults to None: the published
            weights.

    Returns:
        tuple[str, str | list[str]]: The config and the weights, as :func:`load_model` takes them.

    Raises:
        InputError: If no model has that name, or if ``name`` is a config and ``weights`` is None.

    Examples:
        >>> find_model('ssd512_hardnet68_coco')
        ('hardnet_mm::ssd512_hardnet68_coco.py', 'hardnet://ssd512_hardnet68_coco')
    """
    if is_config(name):
        if weights is None:
            raise InputError(f'{name} is a config: name the weights after it')
        return name, weights
    published = name.removeprefix(SCHEME)
    models = [key for key, record in WEIGHTS.items() if record.config]
    if published not in models:
        raise InputError(f'{name} is no config, and no published model: those are {models}')
    config = f'{PREFIX}{get_weights(published).config}.py'
    return config, weights or SCHEME + published


def is_config(name):
    """Return whether a name is that of a config, rather than that of published weights."""
    return '::' in name or name.endswith('.py') or osp.isfile(name)


def load_model(config, weights, device='cpu', deploy=None, options=None):
    """Load a trained model, its inference form, or an exported file.

    Args:
        config (str): As of :func:`~hardnet_mm.utils.configs.read_config`.
        weights (str | list[str]): A checkpoint or an exported file. Several checkpoints of a
            segmentor, for example one per fold, are averaged: the mean of their probabilities.
        device (str): Device to compute on. Defaults to 'cpu'.
        deploy (str, optional): Name of the type that the inference form computes in: float32,
            bfloat16 or float16. Defaults to None: the model is not converted.
        options (dict, optional): Settings of the config to override. Defaults to None.

    Returns:
        Model: The model with its config, classes and colours.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If the toolbox or the runtime is not installed.
        InputError: If the device cannot be used, if the weights do not belong to this config, if
            an exported file is combined with a GPU, with ``deploy`` or with other weights, or if
            several checkpoints are given for a model that is not a segmentor.
    """
    place = check_device(device)
    weights = [weights] if isinstance(weights, str) else list(weights)
    exported = any(map(is_exported, weights))
    if exported and (deploy or place.type != 'cpu' or len(weights) > 1):
        raise InputError(
            'an exported file computes on the CPU, has no inference form, and is not averaged with '
            'others'
        )
    runtime = load(weights[0]) if exported else None
    cfg = read_config(config, options)
    built = _build(cfg, len(weights))
    init_default_scope(cfg.default_scope)
    if exported:
        meta = dict(dataset_meta=dict(classes=runtime.classes))
        check_classes(weights[0], runtime, built)
        network = ExportedModel(build_end_to_end(built), runtime)
    else:
        meta = _load(built, weights)
        built.to(place)
        network = to_deploy(built, getattr(torch, deploy)) if deploy else built
    classes = class_names(cfg, meta) or []
    count = count_classes(built)
    if count not in (None, len(classes)):  # the names belong to other weights
        classes = list(map(str, range(count)))
    return Model(cfg, built, network, classes, _colors(class_colors(cfg, meta), len(classes)))


def _build(cfg, count):
    """Return the config's model, or an ensemble of ``count`` segmentors."""
    if count > 1:
        if cfg.default_scope != 'mmseg':
            raise InputError('several checkpoints are averaged for segmentors alone: name one')
        from ..seg.ensemble import ensemble_config  # here: the other tasks do without mmseg

        cfg.model = ConfigDict(ensemble_config(cfg.model, count))
    return build_model(cfg)


def _load(built, weights):
    """Load one checkpoint or several; return ``meta`` of the first."""
    if len(weights) == 1:
        return load_whole(built, weights[0])
    from ..seg.ensemble import load_segmentors

    return load_segmentors(built, weights)


def _colors(palette, count):
    """Return ``count`` colours: the palette's if it has enough, else evenly spaced hues."""
    if palette and len(palette) >= count:
        return [tuple(map(int, color)) for color in palette[:count]]
    hues = matplotlib.colormaps['hsv'](np.linspace(0, 1, count, endpoint=False))
    return [tuple(color) for color in (255 * hues[:, :3]).round().astype(int).tolist()]


def check_device(name):
    """Return the ``torch.device`` of a name, after allocating a number on it.

    Raises:
        InputError: If PyTorch does not know the device, or this machine does not have it.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        words = str(error).partition('\n')[0]
        raise InputError(f'device {name!r} cannot be used: {words}') from error
    return device
