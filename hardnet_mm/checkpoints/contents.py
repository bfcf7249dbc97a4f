"""What a checkpoint that was read holds, before a model is given it."""

from typing import Any

from torch import Tensor

from ..utils.errors import InputError

RESUMED = ('optimizer', 'param_schedulers', 'message_hub')


def checked(path: str, checkpoint: Any) -> dict:
    """Return a checkpoint as mmengine may be given it.

    mmengine runs the text at ``meta['config']`` as a config, when it resumes, to compare a count of
    GPUs that only its predecessor wrote down. It is taken out.

    Raises:
        InputError: If the file holds something else than a dict, or in place of one.
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    for name, part in dict(
        file=checkpoint,
        state_dict=checkpoint.get('state_dict', {}) if isinstance(checkpoint, dict) else {},
        meta=meta or {},
    ).items():
        if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
            raise InputError(
                f'{path} is no checkpoint of a model: its {name} must be a dict of names, and is '
                f'a {type(part).__name__}'
            )
    if meta and 'config' in meta:
        checkpoint['meta'] = {key: value for key, value in meta.items() if key != 'config'}
    return checkpoint


def tensors_of(checkpoint: dict) -> dict[str, Tensor]:
    """Return the tensors of a model that a checkpoint holds, by their names."""
    state = checkpoint.get('state_dict', checkpoint)
    return {
        key.removeprefix('module.'): value
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def check_kinds(loaded: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Refuse numbers of another kind than a model computes with, which PyTorch would convert.

    Other sizes of floating-point numbers are converted.

    Raises:
        InputError: If a tensor is of whole or complex numbers where a model's are real ones.
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


def check_resumable(checkpoint: dict) -> None:
    """Refuse a checkpoint that training cannot go on from.

    Raises:
        InputError: If it does not tell where training was, or lacks the optimizer's state.
    """
    meta = checkpoint.get('meta') or {}
    missing = [f'meta.{key}' for key in ('epoch', 'iter') if not isinstance(meta.get(key), int)]
    missing += [key for key in RESUMED if key not in checkpoint]
    if missing:
        raise InputError(
            f'the checkpoint is of a model alone: it has no {", ".join(missing)} to resume from; '
            'start from its weights by --cfg-options load_from=FILE'
        )
