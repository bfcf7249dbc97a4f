"""Any toolbox's config, read by path or by name, and its model, built without a download."""

import tempfile
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings

from .config_text import config_text
from .model_hub import OWN_FILES  # noqa: F401, who reads configs may want the metafiles

TOOLBOXES = ('mmdet', 'mmseg', 'mmpretrain')


def read_config(name, options=None):
    """Read a config by path, or by name as ``mmseg::pidnet/pidnet-s_....py``.

    Args:
        name (str): Path or name.
        options (dict, optional): Settings to override, nested keys with dots.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it belongs to no toolbox, or has no model.
    """
    cfg = get_config(name) if '::' in name else Config.fromfile(name)
    cfg.merge_from_dict(options or {})
    if cfg.get('default_scope') not in TOOLBOXES or 'model' not in cfg:
        raise ValueError(f'{name} must have a model, and a default_scope among {TOOLBOXES}')
    return cfg


def read_inherited(name, settings):
    """Read the config that a file would hold which inherits from another one.

    Args:
        name (str): Path or name of the other one, its ``_base_``.
        settings (dict): What the file would set.
    """
    base = name if '::' in name else str(Path(name).resolve())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'config.py')
        path.write_text(config_text(base, settings))
        return read_config(str(path))


def build_model(cfg):
    """Return the config's model, in evaluation mode, its weights random.

    The initialization is the config's, but no checkpoint is read.
    """
    scope = cfg.default_scope
    import_modules_from_strings(f'{scope}.utils').register_all_modules(init_default_scope=False)
    registry = import_modules_from_strings(f'{scope}.registry')
    settings = without_checkpoints(cfg.model)
    if 'data_preprocessor' in cfg:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(scope):
        model = registry.MODELS.build(settings)
        model.init_weights()
    return revert_sync_batchnorm(model).eval()


def without_checkpoints(settings):
    """Return a config without the entries that load weights."""
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
