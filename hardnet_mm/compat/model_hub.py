"""Registers the names of this plugin's configs and models with mmengine and the toolboxes.

- mmengine resolves ``hardnet_mm::ssd512_hardnet68_coco.py`` in ``Config.fromfile``, in ``_base_``,
  and in ``mmengine.hub``.
- The inferencers of mmdet and mmseg, and mmpretrain's hub, resolve ``ssd512_hardnet68_coco``, a
  model of the metafiles.

No toolbox is imported for this: mmpretrain gets the names when it is imported.
"""

import functools
import importlib
import sys

import mmengine.hub
from mmengine.config import Config
from mmengine.infer import BaseInferencer

from ..utils.errors import InputError
from ..utils.own_files import OWN_FILES, PREFIX, find_config, own_models
from ..utils.toolboxes import TASKS
from .when_imported import when_imported

MMPRETRAIN_HUB = 'mmpretrain.apis.model'
hub = importlib.import_module('mmengine.hub.hub')


def register_names():
    """Register the names with all of them. A second call has no effect."""
    if Config.fromfile is _fromfile:
        return
    Config.fromfile = staticmethod(_fromfile)
    Config._get_cfg_path = staticmethod(_get_cfg_path)
    hub._get_package_and_cfg_path = _get_package_and_cfg_path
    hub._get_cfg_metainfo = _get_cfg_metainfo
    hub.get_model = mmengine.hub.get_model = _get_model
    BaseInferencer._get_models_from_metafile = staticmethod(_get_models_from_metafile)
    when_imported(MMPRETRAIN_HUB, _tell_mmpretrain)


_toolbox_fromfile = Config.fromfile
_toolbox_cfg_path = Config._get_cfg_path
_toolbox_package_and_cfg_path = hub._get_package_and_cfg_path
_toolbox_cfg_metainfo = hub._get_cfg_metainfo
_toolbox_get_model = hub.get_model
_toolbox_models = BaseInferencer._get_models_from_metafile


@functools.wraps(_toolbox_fromfile)
def _fromfile(filename, *args, **kwargs):
    if str(filename).startswith(PREFIX):
        filename = str(find_config(str(filename)))
    return _toolbox_fromfile(filename, *args, **kwargs)


def _get_cfg_path(cfg_path, filename):
    if not cfg_path.startswith(PREFIX):
        return _toolbox_cfg_path(cfg_path, filename)
    # No scope, unlike another package's config: ours state their toolbox as default_scope.
    return str(find_config(cfg_path)), None


def _get_package_and_cfg_path(cfg_path):
    if PREFIX not in cfg_path:
        return _toolbox_package_and_cfg_path(cfg_path)
    return PREFIX.removesuffix('::'), str(find_config(cfg_path[cfg_path.index(PREFIX) :]))


def _get_cfg_metainfo(package_path, cfg_path):
    if not cfg_path.startswith(str(OWN_FILES)):
        return _toolbox_cfg_metainfo(package_path, cfg_path)
    for model in own_models():
        if model['Config'] == cfg_path and 'Weights' in model:
            return model
    raise ValueError(f'{cfg_path} has no published weights')  # mmengine then goes without


@functools.wraps(_toolbox_get_model)
def _get_model(cfg_path, pretrained=False, **kwargs):
    if cfg_path.startswith(PREFIX):  # what is before the first '::' is the toolbox to build with
        cfg = hub.get_config(cfg_path, pretrained)
        if pretrained and 'model_path' not in cfg:
            raise InputError(f'{cfg_path} has no published weights: pretrained=False builds it')
        cfg_path = f'{cfg.default_scope}::{cfg_path}'
    return _toolbox_get_model(cfg_path, pretrained, **kwargs)


def _get_models_from_metafile(dir):  # noqa: A002, its name
    yield from _toolbox_models(dir)
    for model in own_models():
        if 'Weights' not in model:  # published where no program can fetch them
            continue
        scope = TASKS[model['Results'][0]['Task']]
        if scope in sys.modules and BaseInferencer._get_repo_or_mim_dir(scope) == dir:
            yield model


def _tell_mmpretrain(module):
    module.ModelHub.register_model_index(
        OWN_FILES / 'configs/metafile_imagenet.yml', config_prefix=OWN_FILES
    )
