"""Changes the channels of the modules that read a backbone's outputs."""

from ..utils.errors import InputError
from .places import kind_of

JPU_CHANNELS, JPU_DILATIONS = 512, (1, 2, 4, 8)  # mmseg's defaults


def rewire(model, old, new, name='backbone'):
    """Change the input channels of the modules that read the backbone's outputs.

    These are the modules of the neck. The heads are changed, too, if there is no neck or if the
    neck passes outputs of the backbone on.

    Args:
        model (ConfigDict): Config of the model, changed in place.
        old (tuple[int]): Channels of the old backbone's outputs.
        new (tuple[int]): Channels of the new backbone's outputs.
        name (str): Name of the backbone in ``model``. The neck of an ``img_backbone`` is the
            ``img_neck``. Defaults to 'backbone'.

    Raises:
        InputError: If a RoI head contains a stage of a ResNet.
    """
    neck = model.get(name.replace('backbone', 'neck')) if name.endswith('backbone') else None
    neck = neck or model.get('neck') or []
    for part in neck if isinstance(neck, list) else [neck]:
        old_out, changed = part.get('out_channels'), _rewire_part(part, old, new)
        if not changed:
            continue
        if kind_of(part) == 'JPU':  # passes on all outputs but the last, and adds its own
            own = len(part.get('dilations', JPU_DILATIONS)) * part.get('mid_channels', JPU_CHANNELS)
            first = part.get('start_level', 0)
            old, new = ((*widths[first:-1], own) for widths in (old, new))
            break
        stated_old, stated_new = _stated(part, old), _stated(part, new)
        if isinstance(old_out, (list, tuple)) and tuple(old_out[: len(old)]) == stated_old:
            # an SSD's, whose heads read all of them, or a YOLO's
            more = old_out[len(old) :]
            part.out_channels = type(old_out)([*stated_new, *more])
            more = [int(width * part.get('widen_factor', 1)) for width in more]
            old, new = (*old, *more), (*new, *more)
            break
        return
    others = (name, 'neck', 'data_preprocessor', 'train_cfg', 'test_cfg')
    for key, part in model.items():
        if key not in others and not key.endswith(('backbone', '_neck')):
            for piece in part if isinstance(part, list) else [part]:
                if isinstance(piece, dict):
                    _rewire_part(piece, old, new)


def _rewire_part(part, old, new):
    """Change the input channels of a part of the model, and return whether any changed."""
    if kind_of(part) == 'ResLayer':
        raise InputError('the RoI head is the last stage of a ResNet: HarDNet cannot feed it')
    changed = False
    stated_old, stated_new = _stated(part, old), _stated(part, new)
    for key, value in part.items():
        if isinstance(value, dict):
            changed |= _rewire_part(value, old, new)
        elif key.endswith('in_channels'):
            translated = _translate(value, part.get('in_index'), stated_old, stated_new)
            changed |= translated is not None
            part[key] = value if translated is None else translated
    return changed


def _stated(part, channels):
    """Return the channels as a part's config states them; mmyolo multiplies these by a factor."""
    factor = part.get('widen_factor', 1)
    return tuple(channels if factor == 1 else (round(width / factor) for width in channels))


def _translate(value, index, old, new):
    """Return the new channels for a value that has old ones, None for any other value."""
    if isinstance(value, int):
        if value not in old:
            return None
        if isinstance(index, int) and old[index] == value:
            return new[index]
        return dict(zip(old, new))[value]
    if not isinstance(value, (list, tuple)) or not value or not set(value) <= set(old):
        return None
    if tuple(value) == tuple(old):
        return type(value)(new)
    if index is not None:
        return type(value)(new[i] for i in index)
    return type(value)(dict(zip(old, new))[channels] for channels in value)


def difference(old, new):
    """Return the entries of a nested dict that differ from another's. Lists are not divided.

    A dict that replaces something else is marked with ``_delete_``, so that it inherits nothing.
    """
    return {
        key: _changed(key, old, value)
        for key, value in new.items()
        if key not in old or old[key] != value
    }


def _changed(key, old, value):
    if not isinstance(value, dict) or key not in old:
        return value
    if isinstance(old[key], dict):
        return difference(old[key], value)
    return dict(_delete_=True, **value)
