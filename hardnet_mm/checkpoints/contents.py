"""Checks the content of a checkpoint before it is loaded into a model."""

from itertools import chain
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from ..utils.errors import InputError

RESUMED: dict = dict(optimizer=dict, param_schedulers=(dict, list), message_hub=dict)
# The state of PyTorch's own optimizers with a value for each element of the parameter.
ELEMENTWISE = (
    *('momentum_buffer', 'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'exp_inf', 'square_avg'),
    *('grad_avg', 'acc_delta', 'sum', 'prev', 'step_size', 'ax'),
)
FROM_WEIGHTS = 'start from its weights by --cfg-options load_from=FILE'


def checked(path: str, checkpoint: Any) -> dict:
    """Return a checkpoint that is safe for mmengine.

    When mmengine resumes, it executes the text ``meta['config']`` as a config, to compare a number
    of GPUs that only its predecessor stored. The text is therefore removed.

    Raises:
        InputError: If the file or one of its parts is not a dict whose keys are strings.
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    for name, part in dict(
        file=checkpoint,
        state_dict=checkpoint.get('state_dict', {}) if isinstance(checkpoint, dict) else {},
        meta=meta or {},
    ).items():
        if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
            kind = 'dict of other keys' if isinstance(part, dict) else type(part).__name__
            raise InputError(
                f'{path} is no checkpoint of a model: its {name} must be a dict of names, and is '
                f'a {kind}'
            )
    if meta and 'config' in meta:
        checkpoint['meta'] = {key: value for key, value in meta.items() if key != 'config'}
    return checkpoint


def tensors_of(checkpoint: dict) -> dict[str, Tensor]:
    """Return the model's tensors in a checkpoint, by name."""
    state = checkpoint.get('state_dict', checkpoint)
    return {
        key.removeprefix('module.'): value
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def mismatches(loaded: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """Describe each of the model's tensors that a checkpoint lacks, or has in another shape.

    Args:
        loaded (dict[str, Tensor]): The checkpoint's tensors.
        wanted (dict[str, Tensor]): The model's.
    """
    return [
        f'{key} is {tuple(loaded[key].shape)} in the checkpoint and {tuple(value.shape)} in the '
        'model'
        if key in loaded
        else f'{key} {tuple(value.shape)} is missing in the checkpoint'
        for key, value in wanted.items()
        if key not in loaded or loaded[key].shape != value.shape
    ]


def check_kinds(loaded: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Refuse tensors of another kind of number than the model's, which PyTorch would convert.

    Other floating-point precisions are allowed, and converted. NaN is refused, too.

    Raises:
        InputError: If a tensor has integers or complex numbers where the model has real ones, or
            NaN.
    """
    wrong = [
        f'{key} is {loaded[key].dtype}, not {value.dtype}'
        for key, value in wanted.items()
        if key in loaded and value.is_floating_point() and not loaded[key].is_floating_point()
    ]
    if wrong:
        raise InputError(
            f'the checkpoint has numbers of another kind: {len(wrong)} of its tensors, the first: '
            f'{"; ".join(wrong[:3])}'
        )
    broken = [
        key
        for key, value in wanted.items()
        # another shape is refused or left out elsewhere, and may claim any number of elements
        if key in loaded and loaded[key].shape == value.shape and loaded[key].isnan().any()
    ]
    if broken:
        raise InputError(
            f'the checkpoint has NaN in {len(broken)} of its tensors, the first: {broken[0]}; its '
            'training failed'
        )


def check_resumable(checkpoint: dict) -> None:
    """Refuse a checkpoint from which training cannot be resumed.

    Raises:
        InputError: If it lacks the epoch and iteration, or the optimizer's state, or if these are
            no such values.
    """
    meta = checkpoint.get('meta') or {}
    missing = [f'meta.{key}' for key in ('epoch', 'iter') if not isinstance(meta.get(key), int)]
    missing += [key for key in RESUMED if key not in checkpoint]
    if missing:
        raise InputError(
            f'the checkpoint is of a model alone: it has no {", ".join(missing)} to resume from; '
            f'{FROM_WEIGHTS}'
        )
    wrong = [f'meta.{key} {meta[key]}' for key in ('epoch', 'iter') if meta[key] < 0]
    wrong += [
        f'{key} of type {type(checkpoint[key]).__name__}'
        for key, kind in RESUMED.items()
        if not isinstance(checkpoint[key], kind)
    ]
    if wrong:
        raise InputError(f'the checkpoint is damaged: it has {", ".join(wrong)}; {FROM_WEIGHTS}')


def check_groups(checkpoint: dict, groups: list[dict]) -> None:
    """Refuse the state of an optimizer of other parameters.

    Args:
        checkpoint (dict): A checkpoint that passed :func:`check_resumable`.
        groups (list[dict]): The ``param_groups`` of the optimizer that is to go on.

    Raises:
        InputError: If the groups of the checkpoint have other numbers of parameters.
    """
    stored = checkpoint['optimizer'].get('param_groups')
    try:
        sizes = [len(group['params']) for group in stored]
    except (TypeError, KeyError) as error:
        raise InputError(
            f"the checkpoint is damaged: its optimizer's state has no param_groups; {FROM_WEIGHTS}"
        ) from error
    wanted = [len(group['params']) for group in groups]
    if sizes != wanted:
        raise InputError(
            "the checkpoint is of another optimizer's config: its groups have "
            f'{_short(sizes)} parameters, those of this config {_short(wanted)}; {FROM_WEIGHTS}'
        )


def check_states(checkpoint: dict, optimizer: Optimizer, names: dict[Tensor, str]) -> None:
    """Refuse an optimizer's state whose tensors have another shape than their parameters.

    PyTorch would only fail in the first step. Checked is the state of PyTorch's own optimizers that
    is named in :data:`ELEMENTWISE`. Any other may have a shape of its own: counters, Adafactor's
    factors of rows and columns, LBFGS's history, and what optimizers of other packages store, such
    as blocks of 8 bits or projections of low rank.

    Args:
        checkpoint (dict): A checkpoint that passed :func:`check_groups`.
        optimizer (Optimizer): The optimizer that is to go on.
        names (dict[Tensor, str]): Names of the model's parameters.

    Raises:
        InputError: If there is no state, or a tensor in it has another shape than its parameter.
    """
    state = checkpoint['optimizer'].get('state')
    if not isinstance(state, dict):
        raise InputError(
            f"the checkpoint is damaged: its optimizer's state has no state; {FROM_WEIGHTS}"
        )
    if not type(optimizer).__module__.startswith('torch.optim'):
        return
    stored, params = (
        list(chain.from_iterable(group['params'] for group in groups))
        for groups in (checkpoint['optimizer']['param_groups'], optimizer.param_groups)
    )
    for number, parameter in zip(stored, params):
        for key, value in _elementwise(state.get(number)):
            if value.shape != parameter.shape:
                raise InputError(
                    f"the checkpoint is of another model's training, or damaged: {key} of "
                    f'{names.get(parameter, f"parameter {number}")} is {tuple(value.shape)}, and '
                    f'the parameter {tuple(parameter.shape)}; {FROM_WEIGHTS}'
                )


def _elementwise(state):
    """Return the names and tensors of a parameter's state that must have its shape."""
    items = state.items() if isinstance(state, dict) else ()  # frozen parameters have none
    return [
        (key, value) for key, value in items if key in ELEMENTWISE and isinstance(value, Tensor)
    ]


def _short(numbers):
    return f'{numbers[:5]}{"..." if len(numbers) > 5 else ""} ({len(numbers)} groups)'
