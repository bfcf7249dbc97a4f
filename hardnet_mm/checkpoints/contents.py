"""Checks the content of a checkpoint before it is loaded into a model."""

from typing import Any

from torch import Tensor

from ..utils.errors import InputError

RESUMED: dict = dict(optimizer=dict, param_schedulers=(dict, list), message_hub=dict)
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


def _short(numbers):
    return f'{numbers[:5]}{"..." if len(numbers) > 5 else ""} ({len(numbers)} groups)'
