"""Reads a toolbox's config by path or by name, and builds its model without downloads."""

import os.path as osp
import tempfile
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings

from .config_text import config_text
from .errors import InputError
from .own_files import PREFIX
from .toolboxes import TOOLBOXES, check_installed, register_toolbox


def read_config(name, options=None):
    """Read a config by path, or by a name such as ``mmdet::ssd/ssd512_coco.py``.

    Both of mmengine's styles are read: text and pure Python. A config without ``default_scope``
    gets the scope of the toolbox whose classes the config names.

    Args:
        name (str): Path or name.
        options (dict, optional): Settings to override, nested keys joined by dots. Defaults to
            None.

    Returns:
        Config: A config with a model, whose ``default_scope`` is an installed toolbox.

    Raises:
        FileNotFoundError: If there is no such config.
        ImportError: If the config's toolbox is not installed.
        InputError: If the config cannot be read, names no toolbox, or has no model.

    Examples:
        >>> cfg = read_config('hardnet_mm::hardnet68_imagenet', {'model.head.num_classes': 10})
        >>> cfg.default_scope, cfg.model.head.num_classes
        ('mmpretrain', 10)
    """
    package = name.partition('::')[0]
    if package in TOOLBOXES:
        check_installed(package, name)  # mmengine would install one of the toolbox's releases
    try:
        if '::' in name and not name.startswith(PREFIX):
            cfg = get_config(name)
        else:
            cfg = Config.fromfile(osp.expanduser(name), import_custom_modules=False)
    except (OSError, ImportError):
        raise
    except Exception as error:  # a config is Python, which may raise anything
        raise InputError(f'{name} cannot be read: {type(error).__name__}: {error}') from error
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError, AssertionError, IndexError) as error:
        raise InputError(f'{options} cannot be set in {name}: {error}') from error
    if 'model' not in cfg:
        raise InputError(f'{name} has no model')
    scope = cfg.get('default_scope')
    if scope is None:
        scope = cfg.default_scope = _named_toolbox(cfg)
    if scope not in TOOLBOXES:
        raise InputError(
            f"{name}: default_scope must be 'mmdet', 'mmseg' or 'mmpretrain', the toolbox that the "
            f'config is for, got {scope!r}'
        )
    check_installed(scope, name)
    _import_custom_modules(cfg, name)
    return cfg


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
                if module.partition('.')[0] in TOOLBOXES:
                    return module.partition('.')[0]
                inner += part.values()
            elif isinstance(part, (list, tuple)):
                inner += part
        layer = inner
    return None


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
    return revert_sync_batchnorm(model).eval()


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
            if key != 'pretrained'
            and not (key == 'init_cfg' and 'Pretrained' in str(value) or key == '_scope_')
        }
    )
