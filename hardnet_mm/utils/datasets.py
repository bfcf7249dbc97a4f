"""The data sets of a config, their classes and their colours."""

from mmengine.config import ConfigDict
from mmengine.utils import import_modules_from_strings

from .errors import InputError


def leaf_datasets(settings):
    """Return the configs of the data sets that a data set's config wraps, or that config itself.

    Args:
        settings (dict): The config of a data set, or of a ``ConcatDataset``, ``RepeatDataset``,
            ``ClassBalancedDataset``, ``MultiImageMixDataset`` or the like, nested in any way.

    Returns:
        Iterator[dict]: The configs of the data sets that wrap no other.
    """
    return (leaf for _, leaf in named_leaves(settings))


def named_leaves(settings, key=''):
    """Yield the same as :func:`leaf_datasets`, each with its key.

    Args:
        settings (dict): As of :func:`leaf_datasets`.
        key (str): Key of ``settings`` in the config. Defaults to ''.

    Yields:
        tuple[str, dict]: The key, such as ``'train_dataloader.dataset.datasets.0'``, and the config
        of a data set that wraps no other.
    """
    if not isinstance(settings, dict):  # a data set that a program has built
        return
    if 'datasets' in settings:
        for index, part in enumerate(settings['datasets']):
            yield from named_leaves(part, f'{key}.datasets.{index}')
    elif 'dataset' in settings:
        yield from named_leaves(settings['dataset'], f'{key}.dataset')
    else:
        yield key, settings


def with_pipeline(settings, pipeline):
    """Return a data set's config with one pipeline for all of its images.

    A wrapper with a pipeline of its own, such as ``MultiImageMixDataset``, is removed.

    Args:
        settings (dict): As of :func:`leaf_datasets`.
        pipeline (list[dict]): The configs of the pipeline's transforms.

    Returns:
        ConfigDict: The changed copy.
    """
    settings = ConfigDict(settings)
    if 'datasets' in settings:
        parts = [with_pipeline(part, pipeline) for part in settings.datasets]
        return ConfigDict({**settings, 'datasets': parts})
    if 'dataset' not in settings:
        return ConfigDict({**settings, 'pipeline': pipeline})
    inner = with_pipeline(settings.dataset, pipeline)
    return inner if 'pipeline' in settings else ConfigDict({**settings, 'dataset': inner})


def class_names(cfg, meta):
    """Return the names of a trained model's classes.

    Args:
        cfg (Config): The model's config.
        meta (dict): ``meta`` of the model's checkpoint.

    Returns:
        list[str] | None: The names. None if neither the checkpoint nor the config's data set
        has them.

    Raises:
        InputError: If the config has no ``test_dataloader``.
    """
    return _metainfo(cfg, meta, 'classes')


def class_colors(cfg, meta):
    """Return the colours of a trained model's classes.

    Args:
        cfg (Config): The model's config.
        meta (dict): ``meta`` of the model's checkpoint.

    Returns:
        list[tuple[int]] | None: R, G and B of each class, 0 to 255. None if neither the checkpoint
        nor the config's data set has them.

    Raises:
        InputError: If the config has no ``test_dataloader``.
    """
    return _metainfo(cfg, meta, 'palette')


def count_classes(model):
    """Return a model's number of classes, None if none of its heads has ``num_classes``."""
    heads = [model, *(getattr(model, name, None) for name in ('bbox_head', 'head'))]
    return next((head.num_classes for head in heads if hasattr(head, 'num_classes')), None)


def _metainfo(cfg, meta, key):
    """Return a list of the checkpoint's, the config's or the data set's metainfo, or None."""
    if not cfg.get('test_dataloader'):
        raise InputError(f'{cfg.filename} has no test_dataloader, whose data set is needed')
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
