"""Reads a toolbox's config by path or by name, and builds its model without downloads."""

import os.path as osp
import tempfile
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings

from .config_text import config_text
from .errors import InputError
from .own_files import PREFIX
from .toolboxes import (
    PACKAGES,
    TOOLBOXES,
    check_installed,
    check_scope,
    is_toolbox,
    register_toolbox,
)


def read_config(name, options=None):
    """Read a config by path, or by a name such as ``mmdet::ssd/ssd512_coco.py``.

    Both of mmengine's styles are read: text and pure Python. A config without ``default_scope``
    gets the scope of the toolbox whose classes the config names, or of the one that has a class of
    the model's name.

    Args:
        name (str): Path or name.
        options (dict, optional): Settings to override, nested keys joined by dots. Defaults to
            None.

    Returns:
        Config: A config with a model, whose ``default_scope`` is an installed toolbox or a
            project's own.

    Raises:
        FileNotFoundError: If there is no such config.
        ImportError: If the config's toolbox is not installed.
        InputError: If the config cannot be read, is of before mmengine, names no toolbox, or has
            no model.

    Examples:
        >>> cfg = read_config('hardnet_mm::hardnet68_imagenet', {'model.head.num_classes': 10})
        >>> cfg.default_scope, cfg.model.head.num_classes
        ('mmpretrain', 10)
    """
    cfg = _from_file(name)
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError, AssertionError, IndexError) as error:
        raise InputError(f'{options} cannot be set in {name}: {error}') from error
    if 'model' not in cfg:
        raise InputError(f'{name} has no model')
    _refuse_old(cfg, name)
    if cfg.get('default_scope') in TOOLBOXES:  # without it, its custom imports fail, too
        check_installed(cfg.default_scope, name)
    _import_custom_modules(cfg, name)
    if cfg.get('default_scope') is None:
        cfg.default_scope = _named_toolbox(cfg) or _registering_toolbox(cfg)
    check_scope(cfg.default_scope, name)
    return cfg


def _from_file(name):
    """Return the config of a path or a name, before what it asks to be imported is."""
    package, separator, _ = name.partition('::')
    is_name = separator and not name.startswith(PREFIX)
    if is_name:
        check_installed(package, name)  # mmengine would install one of the toolbox's releases
    try:
        if is_name:
            return get_config(name)
        return Config.fromfile(osp.expanduser(name), import_custom_modules=False)
    except OSError:
        raise
    except ImportError as error:
        for scope in TOOLBOXES:
            if scope in str(error):  # of a base, or of a name in a pure Python config
                check_installed(scope, name)
        raise
    except Exception as error:  # a config is Python, which may raise anything
        raise InputError(f'{name} cannot be read: {type(error).__name__}: {error}') from error


# What mm's configs had before mmengine, and what has its place.
OLD_NAMES = dict(
    data='train_dataloader, val_dataloader, test_dataloader',
    optimizer='optim_wrapper',
    lr_config='param_scheduler',
    runner='train_cfg',
    evaluation='val_evaluator, test_evaluator',
)
NEW_NAMES = ('train_dataloader', 'test_dataloader', 'optim_wrapper', 'train_cfg', 'param_scheduler')


def _refuse_old(cfg, name):
    """Refuse a config of the toolboxes before mmengine: mmdet 2, mmseg 0, mmcls 0 and the like."""
    old = [key for key in OLD_NAMES if key in cfg]
    if len(old) < 2 or any(key in cfg for key in NEW_NAMES):
        return
    renamed = '; '.join(f'{key} is now {OLD_NAMES[key]}' for key in old)
    raise InputError(
        f'{name} is a config of the toolboxes before mmengine (mmdet 2, mmseg 0, mmcls 0), which '
        f'this plugin does not run under: {renamed}. Take the config of the same model from the '
        "toolbox's present version, or migrate it by mmengine's migration guide"
    )


def is_pure_python(cfg):
    """Return whether a config is in mmengine's pure Python style (``with read_base():``)."""
    return bool(getattr(cfg, '_imported_names', None))


def _import_custom_modules(cfg, name):
    try:
        if cfg.get('custom_imports'):
            import_modules_from_strings(**cfg.custom_imports)
    except ImportError as error:
        cause = error.__cause__ or error.__context__ or error
        raise InputError(
            f'{name}: custom_imports {cfg.custom_imports["imports"]} cannot be imported ({cause}): '
            'install what is missing, or put its folder into PYTHONPATH'
        ) from error


def _named_toolbox(value):
    """Return the toolbox of the outermost class that a config names, None if it names none."""
    layer = [value]
    while layer:
        inner = []
        for part in layer:
            if isinstance(part, dict) or hasattr(part, '_cfg_dict'):
                kind = part.get('type')
                module = kind if isinstance(kind, str) else getattr(kind, '__module__', '')
                package = module.partition('.')[0]
                if package in TOOLBOXES or _is_other_toolbox(module, package):
                    return package
                inner += part.values()
            elif isinstance(part, (list, tuple)):
                inner += part
        layer = inner
    return None


def _is_other_toolbox(module, package):
    return '.' in module and package not in PACKAGES and is_toolbox(package)


def _registering_toolbox(cfg):
    """Return the only toolbox of the plugin's that registers the class of a model; or None.

    The class may be a project's own: then the toolbox is looked for by the parts of its model.
    """
    kinds = [cfg.model.get('type'), *(part.get('type') for part in _parts(cfg.model))]
    registries = {scope: register_toolbox(scope) for scope in TOOLBOXES if find_spec(scope)}
    for kind in kinds:
        found = [
            scope
            for scope, registry in registries.items()
            if isinstance(kind, str) and kind in registry.MODELS.module_dict
        ]
        if len(found) == 1:
            return found[0]
    return None


def _parts(model):
    return [part for part in model.values() if isinstance(part, dict)]


def read_inherited(name, settings):
    """Read a config that inherits from another one, without a file of its own.

    Args:
        name (str): Path or name of the config to inherit from.
        settings (dict): Entries that the new config sets, nested as in a config.

    Returns:
        Config: As of :func:`read_config`.

    Raises:
        FileNotFoundError: If there is no such config.
        ImportError: If the config's toolbox is not installed.
        InputError: If the config cannot be read, names no toolbox, or has no model.
    """
    base = name if '::' in name else str(Path(name).expanduser().resolve())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'config.py')
        path.write_text(config_text(base, settings))
        return read_config(str(path))


def build_model(cfg):
    """Return the config's model with random weights, in evaluation mode.

    Weights are initialised as the config says, except that no checkpoint is read. SyncBatchNorm
    becomes BatchNorm, which also runs on a CPU.

    Args:
        cfg (Config): As of :func:`read_config`.

    Returns:
        nn.Module: A detector, segmentor or classifier of the config's toolbox.
    """
    scope = cfg.default_scope
    registry = register_toolbox(scope)
    settings = without_checkpoints(cfg.model)
    if 'data_preprocessor' in cfg:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(scope):
        model = registry.MODELS.build(settings)
        model.init_weights()
    model = revert_sync_batchnorm(model)
    model.eval()  # a project's own may return nothing
    return model


LOADED = ('pretrained', 'teacher_ckpt')  # checkpoints that models read as they are built


def without_checkpoints(settings):
    """Return a copy of a model's config without the entries that load weights.

    Args:
        settings: The config, or a part of it.
    """
    if isinstance(settings, (list, tuple)):
        return type(settings)(map(without_checkpoints, settings))
    if not isinstance(settings, dict):
        return settings
    return ConfigDict(
        {
            key: without_checkpoints(value)
            for key, value in settings.items()
            if key not in LOADED and not (key == 'init_cfg' and 'Pretrained' in str(value))
        }
    )
