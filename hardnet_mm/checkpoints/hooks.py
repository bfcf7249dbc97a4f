"""Hooks that compare a loaded checkpoint with the model, before its tensors are copied."""

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner

from ..utils.errors import InputError
from .contents import (
    check_groups,
    check_kinds,
    check_resumable,
    check_states,
    mismatches,
    tensors_of,
)


class CheckpointMatchHook(Hook):
    """Refuse a checkpoint of another model, for which mmengine would only print a warning.

    For testing and resuming, every tensor of the model must be in the checkpoint, in the same
    shape. For fine-tuning, see :class:`PartialCheckpointHook`.

    Args:
        resumes (bool): Whether training is resumed from the checkpoint. Defaults to False.
    """

    priority = 'LOW'  # after EMAHook, which replaces the checkpoint's weights by averaged ones

    def __init__(self, resumes: bool = False) -> None:
        self.resumes = resumes

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the loaded file with the model, before its tensors are copied.

        Raises:
            InputError: If a tensor of the model is missing or has another shape or kind of number,
                or if the checkpoint has no training state to resume from, or one of an optimizer of
                other parameters or of other shapes.
        """
        loaded, wanted = _tensors(runner, checkpoint)
        wrong = mismatches(loaded, wanted)
        if wrong:
            raise InputError(
                f'the checkpoint is not one of this config: {len(wrong)} of the '
                f"model's {len(wanted)} tensors are missing or of another shape, "
                f'the first: {"; ".join(wrong[:3])}'
            )
        check_kinds(loaded, wanted)
        if self.resumes:
            check_resumable(checkpoint)
            _check_state(runner, checkpoint)


class PartialCheckpointHook(Hook):
    """Report in one line which weights of a checkpoint a model to fine-tune takes.

    Parts of the model may be missing in the checkpoint, as a detector's head is in ImageNet
    weights. A checkpoint without any tensor for the model is refused. mmengine alone would list
    every key.
    """

    priority = 'LOW'  # after EMAHook

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Report what is loaded, then complete the checkpoint with the model's own tensors.

        A complete checkpoint keeps mmengine from listing the keys.

        Raises:
            InputError: If no tensor of the model is in the checkpoint in the same shape, or one is
                of another kind of number.
        """
        loaded, wanted = _tensors(runner, checkpoint)
        taken = {
            key: value
            for key, value in loaded.items()
            if key in wanted and wanted[key].shape == value.shape
        }
        if not taken:
            raise InputError(
                f'the checkpoint has nothing for this model: its tensors are {[*loaded][:3]} and '
                f"others, the model's {[*wanted][:3]} and others"
            )
        check_kinds(taken, wanted)
        # mmengine does not report missing batch counters, either
        missing = {key for key in wanted.keys() - loaded.keys() if 'num_batches_tracked' not in key}
        groups = {
            'new': _outermost(missing, loaded),
            'new, since of another shape': sorted(wanted.keys() & loaded.keys() - taken.keys()),
            'not used': _outermost(loaded.keys() - wanted.keys(), wanted),
        }
        parts = [f'{words}: {", ".join(keys)}' for words, keys in groups.items() if keys]
        runner.logger.info(
            '; '.join([f"{len(taken)} of the model's {len(wanted)} tensors are loaded", *parts])
        )
        filled = {**wanted, **taken}
        if 'state_dict' in checkpoint:
            checkpoint['state_dict'] = filled
        else:
            checkpoint.clear()
            checkpoint.update(filled)


def _check_state(runner, checkpoint):
    """Compare the stored optimizer and schedulers with the runner's, if it has one of each."""
    groups, schedulers = getattr(runner.optim_wrapper, 'param_groups', {}), runner.param_schedulers
    if isinstance(groups, list):  # several optimizers have a dict of theirs
        check_groups(checkpoint, groups)
        names = {parameter: name for name, parameter in _plain(runner).named_parameters()}
        check_states(checkpoint, runner.optim_wrapper.optimizer, names)
    stored = checkpoint['param_schedulers']
    if isinstance(schedulers, list) and len(stored) != len(schedulers):
        runner.logger.warning(
            f'the checkpoint has the state of {len(stored)} schedulers, and this config has '
            f'{len(schedulers)}: mmengine restores them in order, and the rest begin anew'
        )


def _tensors(runner, checkpoint):
    """Return two state dicts: the checkpoint's and the model's."""
    return tensors_of(checkpoint), _plain(runner).state_dict()


def _plain(runner):
    """Return a runner's model without its wrappers."""
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def _outermost(keys, others):
    """Summarise keys by the outermost modules that contain none of the other keys."""
    shared = {key[:end] for key in others for end, letter in enumerate(key) if letter == '.'}
    names = []
    for key in sorted(keys):
        parts = key.split('.')
        prefixes = ('.'.join(parts[: count + 1]) for count in range(len(parts)))
        names.append(next((prefix for prefix in prefixes if prefix not in shared), key))
    return list(dict.fromkeys(names))
