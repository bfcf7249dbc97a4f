"""The data sets of a config, and what they are called."""

from pathlib import Path

from mmengine.config import ConfigDict
from mmengine.utils import import_modules_from_strings


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
    return _told(cfg, meta, 'classes')


def class_colors(cfg, meta):
    """Return R, G, B of a trained model's classes, or None where nothing tells them.

    Args:
        cfg (Config): Its config.
        meta (dict): ``meta`` of its checkpoint.
    """
    return _told(cfg, meta, 'palette')


def count_classes(model):
    """Return how many classes a model has, or None where none of its heads tells."""
    heads = [model, *(getattr(model, name, None) for name in ('bbox_head', 'head'))]
    return next((head.num_classes for head in heads if hasattr(head, 'num_classes')), None)


def _told(cfg, meta, key):
    """Return the list that the checkpoint, the config or its data set has by a key, or None."""
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
        values = (source or {}).get(key)
        if isinstance(values, (list, tuple)):
            return list(values)
    return None
