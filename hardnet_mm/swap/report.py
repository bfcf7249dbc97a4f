"""What a swap changed and why, what it could not decide, and what to check in training."""

from ..checkpoints.published import WEIGHTS
from .backbone import takes_tensor
from .places import kind_of, other_backbones, reach

# Why an entry of the config changes, by the last key of its path, or the one before.
REASONS = dict(
    in_channels="reads the backbone's outputs",
    neck="the mean of HarDNet's feature maps stands for the old backbone's vector",
    head='the old backbone had the classifier inside',
    pretrained='names weights of the old backbone',
    mean='what the ImageNet weights were trained with',
    std='what the ImageNet weights were trained with',
    bgr_to_rgb='the ImageNet weights take RGB',
    to_rgb='the ImageNet weights take RGB',
    load_from='has weights of the old backbone',
    init_cfg='has weights of the old backbone',
    resume='has weights of the old backbone',
    custom_imports='registers HarDNet',
    custom_keys="names the old backbone's layers",
    constructor="counts the old backbone's layers",
    paramwise_cfg="is for the old backbone's layers",
)
# Arguments that need no counterpart: what they say, HarDNet is, or says otherwise.
ANSWERED = {
    'type', 'arch', 'depth', 'num_stages', 'out_indices', 'strides', 'dilations', 'norm_cfg',
    'style', 'init_cfg', 'in_channels', 'frozen_stages', 'norm_eval', 'with_cp', '_scope_',
    'pretrained', 'act_cfg', 'contract_dilation',
}  # fmt: skip


def changes(cfg, swap):
    """Return a line for each entry that changes: what, from what, to what, and why.

    Args:
        cfg (Config): The config before.
        swap (Swap): As of :func:`hardnet_mm.swap.backbone.plan_swap`.

    Returns:
        list[str]: The backbone first.
    """
    place = ('model', *swap.keys)
    old = reach(cfg, place)
    seen = f'seen on images of {swap.old.size}' if swap.old.size else 'as was told'
    lines = [
        f'{".".join(place)}: {kind_of(old)} -> HarDNet. It gave {_shapes(swap.old)}, {seen}; '
        f'HarDNet gives {_shapes(swap.hardnet)}'
    ]
    new = reach(swap.differences, place)
    if 'strides' in new:
        lines.append(
            f'{".".join(place)}: strides {tuple(new["strides"])} and dilations '
            f'{tuple(new["dilations"])}, so that the outputs are as large as they were'
        )
    for path, value in _leaves(swap.differences):
        if path[: len(place)] == place or path[-1] == 'allow_failed_imports':
            continue
        before = _before(cfg, path)
        reason = next((REASONS[key] for key in reversed(path) if key in REASONS), None)
        reason = reason or ("reads the backbone's outputs" if 'channels' in path[-1] else 'follows')
        was = '' if before is None else f'{_short(before)} -> '
        lines.append(f'{".".join(path)}: {was}{_short(value)}: {reason}')
    return lines


def undecided(cfg, swap):
    """Return a line for each thing that the swap leaves to its user, likewise."""
    place = ('model', *swap.keys)
    old = reach(cfg, place)
    lines = [
        f'{".".join((*place, key))} = {_short(value)}: HarDNet has no such argument'
        for key, value in old.items()
        if key not in ANSWERED
    ]
    if 'act_cfg' in old:
        lines.append(
            f'{".".join((*place, "act_cfg"))} = {_short(old["act_cfg"])}: HarDNet keeps its own '
            'activation, which its weights were trained with'
        )
    lines += [
        f'model.{path}: another backbone, which stays as it is'
        for path in other_backbones(cfg.model, swap.keys)
    ]
    if 'teacher_config' in cfg.model:
        lines.append(f'model.teacher_config: {cfg.model.teacher_config} keeps its own backbone')
    model = reach(cfg.model, swap.keys[:-1])
    if swap.old.bare and swap.old.strides and not takes_tensor(model, swap.old):
        lines.append(
            f'{kind_of(old)} gave a tensor, HarDNet gives a tuple of one: what follows must take it'
        )
    rewired = reach(swap.differences['model'], swap.keys[:-1])
    if len(rewired) == 1 and swap.old.channels != swap.hardnet.channels:
        lines.append(
            f'nothing in {kind_of(model)} reads {_numbers(swap.old.channels)} channels by an '
            'argument that ends in in_channels: look in its code for where it takes the width of '
            'the backbone from'
        )
    lines += [
        f'{path} = {number}: as many as an output of the old backbone had; if it means that, it '
        f'must be {" or ".join(map(str, sorted(news)))}'
        for path, number, news in _same_numbers(model, swap)
    ]
    if 'data_preprocessor' not in cfg.model and 'data_preprocessor' not in cfg:
        lines.append(
            'there is no data_preprocessor: to start from ImageNet weights, images must come as '
            "RGB, less ImageNet's mean, over its deviation"
        )
    return lines


def _same_numbers(model, swap):
    """Yield the direct arguments of what follows the backbone that equal an old output's width.

    Where a neck stands between, the heads do not see the backbone.
    """
    if any(key.endswith('neck') and model[key] for key in model):
        return
    for path, value, news in old_widths(model, swap):
        if type(value) is int and not path[-1].endswith('in_channels') and len(path) <= 2:
            yield f'model.{".".join((*swap.keys[:-1], *path))}', value, news


def old_widths(model, swap):
    """Return the arguments of what follows the backbone that hold the width of an old output.

    Args:
        model (ConfigDict): The part of the config in which the backbone stands.
        swap (Swap): As of :func:`hardnet_mm.swap.backbone.plan_swap`.

    Returns:
        list[tuple]: Of each the keys, the value, and the set of the new widths.
    """
    widths = {}
    for old, new in zip(swap.old.channels, swap.hardnet.channels):
        widths.setdefault(old, set()).add(new)
    parts = {key: part for key, part in model.items() if key != swap.keys[-1]}
    return list(_widths(parts, widths))


def _widths(part, widths, path=()):
    for key, value in part.items():
        if isinstance(value, dict):
            yield from _widths(value, widths, (*path, key))
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
            for index, item in enumerate(value):
                yield from _widths(item, widths, (*path, key, str(index)))
        elif key.endswith(('channels', 'dim', 'dims')):
            values = value if isinstance(value, (list, tuple)) else [value]
            news = [widths[number] for number in values if type(number) is int and number in widths]
            if news:
                yield (*path, key), value, set().union(*news)


def explain_failure(cfg, swap, new, error):
    """Return in words why the new model may not be built or not run.

    Args:
        cfg (Config): The config before.
        swap (Swap): As of :func:`hardnet_mm.swap.backbone.plan_swap`.
        new (Config): The config after.
        error (Exception): What was raised.
    """
    words = f'with HarDNet the model fails: {type(error).__name__}: {" ".join(str(error).split())}'
    left = old_widths(reach(new.model, swap.keys[:-1]), swap)
    places = '; '.join(
        f'model.{".".join((*swap.keys[:-1], *path))} = {_short(value)}' for path, value, _ in left
    )
    if places:
        words += (
            f'. The old backbone gave {_numbers(swap.old.channels)} channels, HarDNet gives '
            f'{_numbers(swap.hardnet.channels)}; one of these may still mean the old ones: {places}'
        )
    return f'{words}. With --no-trial the config is written, to be mended in one below it'


def to_check(cfg, swap):
    """Return a line for each thing to check in training, likewise."""
    wrapper = cfg.get('optim_wrapper') or {}
    optimizer = wrapper.get('optimizer') or {}
    old = reach(cfg, ('model', *swap.keys))
    lines = []
    if optimizer:
        settings = ', '.join(
            f'{k} {optimizer[k]}' for k in ('lr', 'weight_decay') if k in optimizer
        )
        line = f'learning rate: {kind_of(optimizer)} with {settings} was chosen for {kind_of(old)}'
        if kind_of(optimizer) != 'SGD':
            line += '; the authors of HarDNet trained it by SGD'
        lines.append(line)
    new = reach(swap.differences, ('model', *swap.keys))
    frozen = new.get('frozen_stages', -1)
    if frozen >= 0:
        stages = f' and {frozen} stage{"s" if frozen > 1 else ""}' if frozen else ''
        lines.append(
            f'frozen stages: the stem{stages} stay as ImageNet left them, as in the old config; '
            "HarDNet's first stages are others, so try -1, too"
        )
    elif old.get('frozen_stages', -1) >= 0:
        lines.append(
            'frozen stages: none, since the weights are random; the old config froze '
            f'{old["frozen_stages"]}'
        )
    lines.append(_norm_line(new, old))
    if swap.pretrained and 'in_channels' in new:
        lines.append(
            'initial weights: random in the first layer, since those of ImageNet take 3 channels '
            f'and in_channels is {new["in_channels"]}'
        )
    if not swap.pretrained:
        published = '' if new['arch'] in WEIGHTS else f', since none of {new["arch"]} is published'
        lines.append(
            f'initial weights: random{published}; training takes longer than from ImageNet weights'
        )
    return lines


def _norm_line(new, old):
    kind = (new.get('norm_cfg') or {}).get('type', 'BN')
    if new.get('norm_eval'):
        return f'norm: {kind} keeps the statistics of ImageNet, as in the old config (norm_eval)'
    words = f'norm: {kind} learns its statistics from the batches of training'
    if 'BN' in kind:
        words += ': with fewer than some 8 images a GPU take SyncBN, GN or norm_eval'
    if 'norm_cfg' in old and 'norm_cfg' not in new and kind != old['norm_cfg'].get('type'):
        words += f' (the old one was {old["norm_cfg"].get("type")})'
    return words


def report(cfg, swap):
    """Return the whole report, in lines."""
    parts = {
        'changed': changes(cfg, swap),
        'not decided': undecided(cfg, swap),
        'to check in training': to_check(cfg, swap),
    }
    return [
        line
        for title, lines in parts.items()
        if lines
        for line in (f'{title}:', *(f'  {line}' for line in lines))
    ]


def _numbers(values):
    return ', '.join(map(str, values))


def _shapes(outputs):
    """Return in words the channels and strides of outputs, or of a HarDNet."""
    strides = getattr(outputs, 'out_strides', getattr(outputs, 'strides', ()))
    if not strides:
        return f'a vector of {_numbers(outputs.channels)}'
    return f'{_numbers(outputs.channels)} channels at strides {_numbers(strides)}'


def _leaves(differences, path=()):
    for key, value in differences.items():
        if isinstance(value, dict) and value and '_delete_' not in value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _before(part, path):
    for key in path:
        part = part.get(key) if isinstance(part, dict) or hasattr(part, 'get') else None
    return part


def _short(value):
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key != '_delete_'}
    words = ' '.join(repr(value).split())
    return words if len(words) <= 100 else f'{words[:97]}...'
