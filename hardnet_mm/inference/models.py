"""The model to predict with: found by path or by published name, and loaded whole."""

import os.path as osp
from dataclasses import dataclass

import matplotlib
import numpy as np
import torch
from mmengine.config import Config
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
    """A model that is ready.

    Attributes:
        cfg (Config): Its config.
        built (BaseModel): It, in PyTorch. Its weights are random where a file computes.
        network (nn.Module): What predicts, by its ``test_step``: the same, its inference form, or
            an exported file.
        classes (list[str]): Their names.
        palette (list[tuple]): Their colours, R, G, B of each, 0 to 255.
    """

    cfg: Config
    built: torch.nn.Module
    network: torch.nn.Module
    classes: list
    palette: list


def find_model(name, weights=None):
    """Return a config and weights by what a user names.

    Args:
        name (str): A config's path, its name as ``hardnet_mm::ssd512_hardnet68_coco.py``, or the
            name of published weights, which brings both.
        weights (str, optional): A checkpoint, its address or name, or an exported file. Defaults
            to None: the published ones.

    Returns:
        tuple[str, str]: The config and the weights, as their readers take them.

    Raises:
        InputError: If the name is of no model, or a config comes without weights.
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
    """Tell a config, by path or name, from the name of published weights."""
    return '::' in name or name.endswith('.py') or osp.isfile(name)


def load_model(config, weights, device='cpu', deploy=None, options=None):
    """Return a trained model, its inference form, or an exported file in its place.

    Args:
        config (str): As of :func:`~hardnet_mm.utils.configs.read_config`.
        weights (str): A checkpoint or an exported file.
        device (str): Where it computes. Defaults to 'cpu'.
        deploy (str, optional): The type that the inference form computes in. Defaults to None: the
            model as it was trained.
        options (dict, optional): Settings of the config to override. Defaults to None.

    Raises:
        FileNotFoundError: If a file is not there.
        ImportError: If the toolbox or the runtime is not installed.
        InputError: If the weights are not of this config, or a file is to compute elsewhere.
    """
    place = check_device(device)
    exported = is_exported(weights)
    if exported and (deploy or place.type != 'cpu'):
        raise InputError('an exported file computes on the CPU, and has no inference form')
    runtime = load(weights) if exported else None
    cfg = read_config(config, options)
    built = build_model(cfg)
    init_default_scope(cfg.default_scope)
    if exported:
        meta = dict(dataset_meta=dict(classes=runtime.classes))
        check_classes(weights, runtime, built)
        network = ExportedModel(build_end_to_end(built), runtime)
    else:
        meta = load_whole(built, weights)
        built.to(place)
        network = to_deploy(built, getattr(torch, deploy)) if deploy else built
    classes = class_names(cfg, meta) or []
    count = count_classes(built)
    if count not in (None, len(classes)):  # those of other weights
        classes = list(map(str, range(count)))
    return Model(cfg, built, network, classes, _colors(class_colors(cfg, meta), len(classes)))


def _colors(palette, count):
    """Return as many colours as there are classes: the palette's, or else hues all around."""
    if palette and len(palette) >= count:
        return [tuple(map(int, color)) for color in palette[:count]]
    hues = matplotlib.colormaps['hsv'](np.linspace(0, 1, count, endpoint=False))
    return [tuple(color) for color in (255 * hues[:, :3]).round().astype(int).tolist()]


def check_device(name):
    """Return a device by its name.

    Raises:
        InputError: If PyTorch knows no such device, or there is none here.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        words = str(error).partition('\n')[0]
        raise InputError(f'device {name!r} cannot be used: {words}') from error
    return device
