"""Finds the backbone, and other parts, in a model's config."""

from mmengine.registry import DefaultScope

from ..utils.errors import InputError
from ..utils.toolboxes import register_toolbox


def locate(model, scope, path=None):
    """Return the keys that lead to the backbone in a model's config.

    Without a path that is ``model.backbone``; or else the only dict further inside that is called a
    backbone, as in a semi-supervised ``model.detector.backbone``; or else the only one whose class
    stands among its package's backbones, whatever it is called.

    Args:
        model (ConfigDict): Config of the model.
        scope (str): The config's ``default_scope``.
        path (str, optional): Where it is, with dots, below ``model``.

    Returns:
        tuple[str]: The keys, the last of which names the backbone.

    Raises:
        InputError: If there is none, or if there are several and no path tells which.
    """
    if path is not None:
        return _checked_path(model, path)
    if isinstance(model.get('backbone'), dict):
        return ('backbone',)
    if 'backbone' in model:
        raise InputError(f'{_name(model)} has no model.backbone dict to replace')
    inside = list(_dicts(model))
    found = [keys for keys, _ in inside if keys[-1].endswith('backbone')]
    found = [
        keys for keys in found if not any(keys[: len(key)] == key for key in found if key != keys)
    ]
    found = found or [keys for keys, part in inside if _is_backbone(part, scope)]
    if not found:
        raise InputError(_no_backbone(model))
    if len(found) > 1:
        names = ' or '.join('.'.join(keys) for keys in found)
        raise InputError(f'{_name(model)} has several backbones: say which, by --backbone {names}')
    return found[0]


def _no_backbone(model):
    """Return in words that a model has none, and which configs its parts are read from."""
    words = (
        f'{_name(model)} has no model.backbone dict to replace, nor another part that is a '
        f'backbone; it has {", ".join(str(key) for key in model)}'
    )
    configs = [
        f"model.{key}.cfg_path = '{part['cfg_path']}'"
        for key, part in model.items()
        if isinstance(part, dict) and 'cfg_path' in part
    ]
    if configs:
        words += (
            '. Parts of it are models of other configs: swap the config that is meant, and set the '
            f'new file in its place: {"; ".join(configs)}'
        )
    return words


def _checked_path(model, path):
    keys = tuple(path.removeprefix('model.').split('.'))
    part = model
    for key in keys:
        part = part.get(key) if isinstance(part, dict) else None
    if not isinstance(part, dict) or 'type' not in part:
        raise InputError(f'{_name(model)} has no model part {path} with a type to replace')
    return keys


def kind_of(part):
    """Return the name of a part's class, without the scope or the modules before it."""
    kind = part.get('type')
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]


def _name(model):
    return getattr(model.get('type'), '__name__', model.get('type'))


def _dicts(part, keys=()):
    """Yield the dicts with a type within a config, with the keys that lead there."""
    for key, value in part.items():
        if isinstance(value, dict):
            if 'type' in value:
                yield (*keys, str(key)), value
            yield from _dicts(value, (*keys, str(key)))


def _is_backbone(part, scope):
    """Tell whether a part's class stands among the backbones of its package."""
    registry, kind = register_toolbox(scope).MODELS, part['type']
    if isinstance(kind, str):
        with DefaultScope.overwrite_default_scope(scope):
            with registry.switch_scope_and_registry(None) as registry:
                kind = registry.get(kind)
    return 'backbones' in getattr(kind, '__module__', '').split('.')


def other_backbones(model, keys):
    """Return the paths of the other parts called a backbone, which stay as they are."""
    paths = [path for path, _ in _dicts(model) if path[-1].endswith('backbone')]
    return ['.'.join(path) for path in paths if path[: len(keys)] != keys]


def reach(part, keys):
    """Return what stands at the keys within nested dicts."""
    for key in keys:
        part = part[key]
    return part


def scope_within(model, keys):
    """Return the innermost ``_scope_`` on the way to a part, None where there is none."""
    scopes = (reach(model, keys[:depth]).get('_scope_') for depth in range(len(keys), -1, -1))
    return next(filter(None, scopes), None)


def outward(differences, keys):
    """Return differences of the part at the keys as those of the model."""
    for key in reversed(keys):
        differences = {key: differences}
    return differences
