"""Hooks that compare a loaded checkpoint with the model, before its tensors are copied."""

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner

from ..utils.errors import InputError
from .contents import check_kinds, check_resumable, tensors_of


class CheckpointMatchHook(Hook):
    """Refuse a checkpoint of another model, which mmengine would only warn of.

    Testing or resuming means this very model: every one of its tensors must be in the checkpoint,
    in its shape. Fine-tuning by ``load_from`` may leave some out.

    Args:
        resumes (bool): Whether training is to go on from it. Defaults to False.
    """

    priority = 'LOW'  # after EMAHook, which puts the averaged weights in the checkpoint's place

    def __init__(self, resumes: bool = False) -> None:
        self.resumes = resumes

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the loaded file with the model, before its tensors are copied.

        Raises:
            InputError: If a tensor of the model is missing, of another shape or kind of number, or
                if there is nothing to resume from.
        """
        loaded, wanted = _tensors(runner, checkpoint)
        wrong = [
            f'{key} {tuple(value.shape)} is {tuple(loaded[key].shape) if key in loaded else None}'
            for key, value in wanted.items()
            if key not in loaded or loaded[key].shape != value.shape
        ]
        if wrong:
            raise InputError(
                f'the checkpoint is not one of this config: {len(wrong)} of the '
                f"model's {len(wanted)} tensors are missing or of another shape, "
                f'the first: {"; ".join(wrong[:3])}'
            )
        check_kinds(loaded, wanted)
        if self.resumes:
            check_resumable(checkpoint)


class PartialCheckpointHook(Hook):
    """Say in one line what a model takes from a checkpoint to fine-tune, where mmengine lists keys.

    Whole parts may be new, as a detector's head is to ImageNet's weights; a checkpoint that has
    nothing for the model is refused.
    """

    priority = 'LOW'  # after EMAHook

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, tell, and fill the checkpoint up from the model, so that the rest is silent.

        Raises:
            InputError: If no tensor of the model is in the checkpoint, in its shape, or one is of
                another kind of number.
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
        # mmengine does not miss counters of batches, either
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


def _tensors(runner, checkpoint):
    """Return the tensors of a checkpoint and of the model that it is for, by their names."""
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return tensors_of(checkpoint), model.state_dict()


def _outermost(keys, others):
    """Return the names of the outermost modules that hold some keys and none of the others."""
    shared = {key[:end] for key in others for end, letter in enumerate(key) if letter == '.'}
    names = []
    for key in sorted(keys):
        parts = key.split('.')
        prefixes = ('.'.join(parts[: count + 1]) for count in range(len(parts)))
        names.append(next((prefix for prefix in prefixes if prefix not in shared), key))
    return list(dict.fromkeys(names))
