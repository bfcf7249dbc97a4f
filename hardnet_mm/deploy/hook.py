"""A hook that tests the inference form of a model."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..registry import HOOKS
from .deploy import to_deploy


@HOOKS.register_module()
class DeployHook(Hook):
    """Test the inference form of the model, :func:`hardnet_mm.deploy.to_deploy`.

    Args:
        dtype (str): Name of the type that it computes in. Defaults to 'float32'.
    """

    def __init__(self, dtype: str = 'float32') -> None:
        self.dtype = getattr(torch, dtype)

    def before_test(self, runner: Runner) -> None:
        """Put the inference form in the model's place; the weights are loaded by now."""
        model = runner.model
        runner.model = to_deploy(model.module if is_model_wrapper(model) else model, self.dtype)
