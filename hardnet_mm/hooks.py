"""Hooks: one that the tools add to a runner, and some for a config that wants them."""

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper

from .deploy import to_deploy
from .errors import InputError
from .registry import HOOKS


class CheckpointMatchHook(Hook):
    """Refuse a checkpoint of another model, which mmengine would only warn of.

    Testing or resuming means this very model: every one of its tensors must be in the checkpoint,
    in its shape. Fine-tuning by ``load_from`` may leave some out, so the tools do not add it there.
    """

    priority = 'LOW'  # after EMAHook, which puts the averaged weights in the checkpoint's place

    def after_load_checkpoint(self, runner, checkpoint):
        """Compare the loaded file with the model, before its tensors are copied.

        Raises:
            InputError: If a tensor of the model is missing or of another shape.
        """
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        loaded = checkpoint.get('state_dict', checkpoint)
        loaded = {key.removeprefix('module.'): value for key, value in loaded.items()}
        wanted = model.state_dict()
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


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lay the model's convolutions out channels-last, which tensor cores and oneDNN prefer.

    Inputs follow by themselves: a convolution's output takes the layout of its weights.
    """

    def before_run(self, runner):
        """Convert the model, before the first iteration of training, validation or testing."""
        runner.model.to(memory_format=torch.channels_last)


@HOOKS.register_module()
class DeployHook(Hook):
    """Test the inference form of the model, :func:`hardnet_mm.deploy.to_deploy`.

    Args:
        dtype (str): Name of the type that it computes in. Defaults to 'float32'.
    """

    def __init__(self, dtype='float32'):
        self.dtype = getattr(torch, dtype)

    def before_test(self, runner):
        """Put the inference form in the model's place; the weights are loaded by now."""
        model = runner.model
        runner.model = to_deploy(model.module if is_model_wrapper(model) else model, self.dtype)
