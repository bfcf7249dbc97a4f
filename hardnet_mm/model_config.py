"""Any toolbox's config, read by path or by name, and its model, built without a download."""

import tempfile
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings

from .config_text import config_text

OWN_FILES = Path(__file__).parent / '.mim'
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
    if name.startswith('hardnet_mm::'):
        name = str(OWN_FILES / 'configs' / name.removeprefix('hardnet_mm::'))
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
