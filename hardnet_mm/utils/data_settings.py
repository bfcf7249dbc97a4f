"""Tells which settings of a config name data that are not there."""

import contextlib
import os

import mmengine.registry

from .datasets import named_leaves
from .toolboxes import PACKAGES, register_toolbox

# Classes whose ``load_data_list`` reads ``ann_file``, with the folder it lists if there is none.
READERS = {
    'mmengine.dataset.base_dataset.BaseDataset': None,
    'mmdet.datasets.coco.CocoDataset': None,
    'mmdet.datasets.xml_style.XMLDataset': None,
    'mmseg.datasets.basesegdataset.BaseSegDataset': 'img_path',
    'mmpretrain.datasets.custom.CustomDataset': 'img_path',
    'hardnet_mm.seg.binary_dataset.BinaryMaskDataset': 'img_path',
}
METRIC = 'mmdet.evaluation.metrics.coco_metric.CocoMetric'  # its __init__ reads ann_file
# Packages whose data sets take the paths as they are.
KNOWN = {*PACKAGES, __name__.partition('.')[0]}


def check_data_files(cfg, *names):
    """Refuse a config whose data are not there, before the model is built or data are read.

    Only what a class surely reads from the disk is checked: ``ann_file`` of :data:`READERS`, the
    folder that they list without it, and ``ann_file`` of ``CocoMetric``. Subclasses are checked if
    they inherit the methods that read these settings. Data on another machine (``backend_args``,
    addresses) are not checked.

    Args:
        cfg (Config): A config whose toolbox is imported.
        *names (str): Its data loaders and evaluators to check, such as ``'train_dataloader'``.

    Raises:
        FileNotFoundError: If a file or folder is missing. The message has the settings' keys.
    """
    missing = {}
    for key, entry, kind in _entries(cfg, names):
        for setting, path in _read(entry, kind).items():
            if not _is_there(path):
                root = _root(entry)
                if root and path.startswith(root) and not _is_there(root):
                    setting, path = 'data_root', root
                missing.setdefault(path, []).append(f'{key}.{setting}')
    if missing:
        places = ', '.join(f'{path} ({", ".join(keys)})' for path, keys in missing.items())
        raise FileNotFoundError(
            f'No such file or directory: {places}: correct these settings in the config or by '
            '--cfg-options'
        )


def _entries(cfg, names):
    """Yield the key, the config and the class of data loaders' data sets and of metrics."""
    for name in names:
        part = cfg.get(name)
        if name.endswith('evaluator'):
            registry, parts = 'METRICS', {name: part}
            if isinstance(part, (list, tuple)):
                parts = {f'{name}.{index}': metric for index, metric in enumerate(part)}
        else:
            dataset = part.get('dataset') if isinstance(part, dict) else None
            registry, parts = 'DATASETS', dict(named_leaves(dataset, f'{name}.dataset'))
        for key, entry in parts.items():
            if isinstance(entry, dict):
                yield key, entry, _class(entry.get('type'), registry, cfg.default_scope)


def _class(kind, registry, scope):
    """Return the class that a ``type`` names, None if there is none."""
    if not isinstance(kind, str):
        return kind
    # a project's module of registries may lack one
    own = getattr(register_toolbox(scope), registry, getattr(mmengine.registry, registry))
    with contextlib.suppress(RuntimeError):  # of a name with dots that leads nowhere
        return own.get(kind)


def _root(entry):
    return str(entry.get('data_root') or '')


def _paths(entry):
    """Return the paths of a data set's or metric's config by their settings."""
    root, prefix = _root(entry), entry.get('data_prefix') or {}
    values = dict(ann_file=entry.get('ann_file'))
    if isinstance(prefix, dict):
        values.update({f'data_prefix.{name}': value for name, value in prefix.items()})
    else:
        values['data_prefix'] = prefix
    return {
        setting: os.path.join(root, value)
        for setting, value in values.items()
        if value and isinstance(value, str)
    }


def _read(entry, kind):
    """Return those of :func:`_paths` that a class surely reads from the disk."""
    paths = _paths(entry)
    if entry.get('backend_args') or any('://' in path for path in paths.values()):
        return {}
    reader = _origin(kind, 'load_data_list')
    changed = {_origin(kind, name).split('.')[0] for name in ('__init__', '_join_prefix')}
    if _origin(kind, '__init__') != METRIC and not (reader in READERS and changed <= KNOWN):
        return {}
    if 'ann_file' in paths:
        return {'ann_file': paths['ann_file']}
    folder = READERS.get(reader)
    if folder is None:
        return {}
    settings = ('data_prefix', f'data_prefix.{folder}')
    paths = {setting: paths[setting] for setting in settings if setting in paths}
    if paths and entry.get('split'):  # by which mmpretrain may find an annotation file
        return {}
    return paths or {'data_root': _root(entry) or '.'}


def _origin(kind, method):
    """Return the full name of the class that defines a method of a class, '.' if none does."""
    function = getattr(kind, method, None)
    module, name = (getattr(function, part, '') for part in ('__module__', '__qualname__'))
    return f'{module}.{name.rpartition(".")[0]}'


def _is_there(path):
    return os.path.exists(path) or os.path.exists(os.path.expanduser(path))
