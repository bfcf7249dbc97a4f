"""Any toolbox's config, read by path or by name, and its model, built without a download."""

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

TOOLBOXES = ('mmdet', 'mmseg', 'mmpretrain')


def read_config(name, options=None):
    """Read a config by path, or by name as ``mmseg::pidnet/pidnet-s_....py``.

    It may be a text or in pure Python. One that states no ``default_scope`` is given the toolbox
    whose classes it names.

    Args:
        name (str): Path or name.
        options (dict, optional): Settings to override, nested keys with dots.

    Returns:
        Config: Its ``default_scope`` is an installed toolbox, and it has a model.

    Raises:
        FileNotFoundError: If there is no such config.
        ImportError: If its toolbox is not installed.
        InputError: If it cannot be read, names no toolbox, or has no model.
    """
    package = name.partition('::')[0]
    if package in TOOLBOXES:
        _check_installed(package, name)  # mmengine would install some release of it
    try:
        if '::' in name and not name.startswith(PREFIX):
            cfg = get_config(name)
        else:
            cfg = Config.fromfile(osp.expanduser(name), import_custom_modules=False)
    except (OSError, ImportError):
        raise
    except Exception as error:  # whatever the Python in it may raise
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
    _check_installed(scope, name)
    _import_custom_modules(cfg, name)
    return cfg


def is_pure_python(cfg):
    """Tell whether a config was read from Python with classes, ``with read_base():``."""
    return bool(getattr(cfg, '_imported_names', None))


def register_toolbox(scope):
    """Import everything that a toolbox registers, and return its module of registries."""
    import_modules_from_strings(f'{scope}.utils').register_all_modules(init_default_scope=False)
    return import_modules_from_strings(f'{scope}.registry')


def _check_installed(scope, name):
    if find_spec(scope) is None:
        raise ImportError(
            f'{name} is a config of {scope}, which is not installed: '
            "pip install 'hardnet_mm[onedl]' (the maintained continuation), or "
            "'hardnet_mm[openmmlab]' (OpenMMLab's last releases)",
            name=scope,
        )


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
    """Return the first toolbox that a class in a config belongs to, from outside in; or None."""
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
    """Read the config that a file would hold which inherits from another one.

    Args:
        name (str): Path or name of the other one, its ``_base_``.
        settings (dict): What the file would set.
    """
    base = name if '::' in name else str(Path(name).expanduser().resolve())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'config.py')
        path.write_text(config_text(base, settings))
        return read_config(str(path))


def leaf_datasets(settings):
    """Yield the configs of the data sets within a data set's, itself where it wraps none.

    Args:
        settings (dict): The config of a data set, or of a ``ConcatDataset``, ``RepeatDataset``,
            ``ClassBalancedDataset``, ``MultiImageMixDataset`` or the like, within one another.
    """
    if 'datasets' in settings:
        for part in settings['datasets']:
            yield from leaf_datasets(part)
    elif 'dataset' in settings:
        yield from leaf_datasets(settings['dataset'])
    else:
        yield settings


def with_pipeline(settings, pipeline):
    """Return a data set's config whose images are all prepared by one pipeline.

    Wrappers that prepare images themselves, such as ``MultiImageMixDataset``, are left out.

    Args:
        settings (dict): As of :func:`leaf_datasets`.
        pipeline (list[dict]): The pipeline.
    """
    settings = ConfigDict(settings)
    if 'datasets' in settings:
        parts = [with_pipeline(part, pipeline) for part in settings.datasets]
        return ConfigDict({**settings, 'datasets': parts})
    if 'dataset' not in settings:
        return ConfigDict({**settings, 'pipeline': pipeline})
    inner = with_pipeline(settings.dataset, pipeline)
    return inner if 'pipeline' in settings else ConfigDict({**settings, 'dataset': inner})


def check_data_files(settings):
    """Refuse a data set whose folder or annotations are not there, before it is read.

    Args:
        settings (dict): As of :func:`leaf_datasets`.

    Raises:
        FileNotFoundError: If one is not there. What is not on this machine is not looked for.
    """
    for leaf in leaf_datasets(settings):
        root, annotations = leaf.get('data_root') or '', leaf.get('ann_file') or ''
        paths = [path for path in (root, annotations and Path(root, annotations)) if path]
        if 'backend_args' in leaf and leaf['backend_args'] or '://' in f'{root}{annotations}':
            continue
        for path in paths:
            if not Path(path).exists():
                raise FileNotFoundError(
                    f'the config names data at {path}, which is not there: pass its place by '
                    '--cfg-options'
                )


def class_names(cfg, meta):
    """Return the names of a trained model's classes, or None where nothing tells them.

    Args:
        cfg (Config): Its config.
        meta (dict): ``meta`` of its checkpoint.
    """
    leaf = next(leaf_datasets(cfg.test_dataloader.dataset))
    registry = import_modules_from_strings(f'{cfg.default_scope}.registry')
    kind = leaf['type'] if isinstance(leaf['type'], type) else registry.DATASETS.get(leaf['type'])
    sources = (
        meta.get('dataset_meta'),
        leaf.get('metainfo'),
        leaf,
        getattr(kind, 'METAINFO', None),
    )
    for source in sources:
        names = (source or {}).get('classes')
        if isinstance(names, (list, tuple)):
            return list(names)
    return None


def build_model(cfg):
    """Return the config's model, in evaluation mode, its weights random.

    The initialization is the config's, but no checkpoint is read.
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
