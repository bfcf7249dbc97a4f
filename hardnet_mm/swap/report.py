"""The report of a swap: what changed and why, what is undecided, what to check in training."""

from ..checkpoints.published import WEIGHTS
from .backbone import takes_tensor
from .places import kind_of, other_backbones, reach
from .rewiring import difference

# Reasons for changing an entry of the config, by the last or second-last key of its path.
REASONS = dict(
    in_channels="reads the backbone's outputs",
    neck="the mean of HarDNet's feature maps replaces the old backbone's vector",
    head='the old backbone contained the classifier',
    pretrained='names weights of the old backbone',
    mean='the ImageNet weights were trained with this mean',
    std='the ImageNet weights were trained with this standard deviation',
    bgr_to_rgb='the ImageNet weights expect RGB',
    to_rgb='the ImageNet weights expect RGB',
    load_from='has weights of the old backbone',
    init_cfg='has weights of the old backbone',
    resume='has weights of the old backbone',
    custom_imports='registers HarDNet',
    custom_keys='they set the optimizer for layers of the old backbone, which HarDNet has not',
    constructor='it gave each layer of the old backbone a learning rate; now all have the same',
    paramwise_cfg="it belongs to the old constructor of the optimizer's groups",
)
# Arguments that need no counterpart: HarDNet has them under other names, or does not need them.
ANSWERED = {
    'type', 'arch', 'depth', 'num_stages', 'out_indices', 'strides', 'dilations', 'norm_cfg',
    'style', 'init_cfg', 'in_channels', 'frozen_stages', 'norm_eval', 'with_cp', '_scope_',
    'pretrained', 'act_cfg', 'contract_dilation',
}  # fmt: skip


def changes(cfg, swap):
    """Return a line for each entry that changes: its path, old value, new value, and the reason.

    Args:
        cfg (Config): The old config.
        swap (Swap): The plan, from :func:`hardnet_mm.swap.backbone.plan_swap`.

    Returns:
        list[str]: The lines, the backbone's first.
    """
    place = ('model', *swap.keys)
    old = reach(cfg, place)
    seen = f'seen in a run on images of {swap.old.size}' if swap.old.size else 'given by --outputs'
    lines = [
        f'{".".join(place)}: {kind_of(old)} -> HarDNet. The outputs were {_shapes(swap.old)}, '
        f'{seen}, and are now {_shapes(swap.hardnet)}'
    ]
    new = reach(swap.differences, place)
    if 'strides' in new:
        lines.append(
            f'{".".join(place)}: strides {tuple(new["strides"])} and dilations '
            f'{tuple(new["dilations"])}, so that the sizes of the outputs do not change'
        )
    for path, value, before in _leaves(swap.differences, cfg):
        if path[: len(place)] == place or path[-1] == 'allow_failed_imports':
            continue
        reason = next((REASONS[key] for key in reversed(path) if key in REASONS), None)
        reason = reason or ("reads the backbone's outputs" if 'channels' in path[-1] else 'follows')
        was = '' if before is None else f'{short(before)} -> '
        lines.append(f'{".".join(path)}: {was}{short(value)}: {reason}')
    return lines


def undecided(cfg, swap, ran=False):
    """Return a line for each decision that is left to the user.

    Args:
        cfg (Config): The old config.
        swap (Swap): The plan, from :func:`hardnet_mm.swap.backbone.plan_swap`.
        ran (bool): Whether the new model predicted, so that its channels match except those of
            parts for training. Defaults to False.

    Returns:
        list[str]: The lines.
    """
    place = ('model', *swap.keys)
    old = reach(cfg, place)
    lines = [
        f'{".".join((*place, key))} = {short(value)}: left out, HarDNet has no such argument'
        for key, value in old.items()
        if key not in ANSWERED
    ]
    if 'act_cfg' in old:
        lines.append(
            f'{".".join((*place, "act_cfg"))} = {short(old["act_cfg"])}: HarDNet keeps its own '
            f'activation{", which its weights were trained with" if swap.pretrained else ""}'
        )
    lines += [
        f'model.{path}: another backbone, which stays as it is'
        for path in other_backbones(cfg.model, swap.keys)
    ]
    if 'teacher_config' in cfg.model:
        lines.append(f'model.teacher_config: {cfg.model.teacher_config} keeps its own backbone')
    lines += _same_numbers(reach(cfg.model, swap.keys[:-1]), swap, ran)
    if not ran:
        lines += _unproven(cfg, swap)
    if swap.pretrained and 'data_preprocessor' not in cfg.model and 'data_preprocessor' not in cfg:
        lines.append(
            'there is no data_preprocessor: ImageNet weights expect RGB images, normalised with '
            "ImageNet's mean and standard deviation"
        )
    return lines


def _unproven(cfg, swap):
    """Return a line for each thing that a run of the new model would show."""
    old = reach(cfg, ('model', *swap.keys))
    model = reach(cfg.model, swap.keys[:-1])
    lines = []
    if swap.old.bare and swap.old.strides and not takes_tensor(model, swap.old):
        lines.append(
            f'{kind_of(old)} returned a tensor, HarDNet returns a tuple of one: the module after '
            'it must accept that'
        )
    rewired = reach(swap.differences['model'], swap.keys[:-1])
    if len(rewired) == 1 and swap.old.channels != swap.hardnet.channels:
        lines.append(
            f'nothing in {kind_of(model)} reads {numbers(swap.old.channels)} channels by an '
            'argument that ends in in_channels: look in its code for where it gets the channels of '
            'the backbone from'
        )
    return lines


def _same_numbers(model, swap, ran):
    """Return a line for each number after the backbone that equals an old output's channels.

    With a neck in between, there are none, since the heads do not read the backbone's outputs.
    After a prediction only auxiliary heads are in question, which are for training.
    """
    if any(key.endswith('neck') and model[key] for key in model):
        return []
    place = '.'.join(('model', *swap.keys[:-1]))
    return [
        f'{place}.{".".join(path)} = {value}: the channels of an output of the old backbone; if it '
        f'means these, it must be {" or ".join(map(str, sorted(news)))}'
        for path, value, news in old_widths(model, swap)
        if type(value) is int
        and not path[-1].endswith('in_channels')
        and len(path) <= 2
        and not (ran and not path[0].startswith('auxiliary'))
    ]


def old_widths(model, swap):
    """Return arguments of the modules after the backbone that equal an old output's channels.

    Args:
        model (ConfigDict): The part of the config that contains the backbone.
        swap (Swap): The plan, from :func:`hardnet_mm.swap.backbone.plan_swap`.

    Returns:
        list[tuple]: For each argument the keys, the value, and the set of new channels.
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


def to_check(cfg, swap):
    """Return a line for each thing to check in training, with :func:`changes`' arguments."""
    wrapper = cfg.get('optim_wrapper') or {}
    optimizer = wrapper.get('optimizer') or {}
    old = reach(cfg, ('model', *swap.keys))
    lines = []
    if optimizer:
        settings = ', '.join(
            f'{k} {optimizer[k]}' for k in ('lr', 'weight_decay') if k in optimizer
        )
        line = (
            f'learning rate: {kind_of(optimizer)} with {settings}, as in the old config, where it '
            f'was chosen for {kind_of(old)}; the best one for HarDNet may be another'
        )
        if kind_of(optimizer) != 'SGD':
            line += ', and the authors of HarDNet trained it by SGD'
        lines.append(line)
    new = reach(swap.differences, ('model', *swap.keys))
    frozen = new.get('frozen_stages', -1)
    if frozen >= 0:
        stages = ' and the first stage' if frozen == 1 else f' and the first {frozen} stages'
        lines.append(
            f'frozen stages: the stem{stages if frozen else ""} keep the ImageNet weights '
            f'(frozen_stages={frozen}), as in the old config; they are other layers than those of '
            f'{kind_of(old)}, so also try frozen_stages=-1, which trains all'
        )
    elif old.get('frozen_stages', -1) >= 0:
        lines.append(
            'frozen stages: none, since the initial weights are random; the old config had '
            f'frozen_stages={old["frozen_stages"]}'
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
        return (
            f'norm: {kind} keeps the mean and variance from the training on ImageNet '
            '(norm_eval=True), as in the old config'
        )
    if kind == 'GN':
        words = 'norm: GN computes mean and variance from each image'
    elif 'SyncBN' in kind:
        words = f'norm: {kind} computes mean and variance from the images of all GPUs'
    else:
        words = (
            f'norm: {kind} computes mean and variance from the images of each GPU: with fewer than '
            'about 8, set norm_cfg to SyncBN or GN, or norm_eval to True'
        )
    if 'norm_cfg' in old and 'norm_cfg' not in new and kind != old['norm_cfg'].get('type'):
        words += f' (the old one was {old["norm_cfg"].get("type")})'
    return words


def report(cfg, swap, *more, ran=False):
    """Return the lines of the complete report.

    Args:
        cfg (Config): The old config.
        swap (Swap): The plan, from :func:`hardnet_mm.swap.backbone.plan_swap`.
        *more (str): What else could not be decided.
        ran (bool): As of :func:`undecided`. Defaults to False.
    """
    parts = {
        'changed': changes(cfg, swap),
        'not decided': [*undecided(cfg, swap, ran), *more],
        'to check in training': to_check(cfg, swap),
    }
    return [
        line
        for title, lines in parts.items()
        if lines
        for line in (f'{title}:', *(f'  {line}' for line in lines))
    ]


def numbers(values):
    """Return numbers in words."""
    return ', '.join(map(str, values))


def _shapes(outputs):
    """Describe the channels and strides of outputs, or of a HarDNet."""
    strides = getattr(outputs, 'out_strides', getattr(outputs, 'strides', ()))
    if not strides:
        return f'a vector of {numbers(outputs.channels)} channels'
    return f'{numbers(outputs.channels)} channels at strides {numbers(strides)}'


def _leaves(differences, old, path=()):
    """Yield the path, the new value and the old value of each entry that differs."""
    for key, value in differences.items():
        before = None if old is None else old.get(key)
        if isinstance(value, dict) and value and '_delete_' not in value:
            yield from _leaves(value, before, (*path, key))
        elif _are_parts(value) and _are_parts(before) and len(value) == len(before):
            for index, (new, was) in enumerate(zip(value, before)):
                yield from _leaves(difference(was, new), was, (*path, key, str(index)))
        else:
            yield (*path, key), value, before


def _are_parts(value):
    return isinstance(value, (list, tuple)) and all(isinstance(part, dict) for part in value)


def entry(part, path):
    """Return the entry of a nested config at a path, None if there is none."""
    for key in path:
        part = part.get(key) if isinstance(part, dict) or hasattr(part, 'get') else None
    return part


def short(value):
    """Return a value in at most 100 characters."""
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key != '_delete_'}
    words = ' '.join(repr(value).split())
    return words if len(words) <= 100 else f'{words[:97]}...'
