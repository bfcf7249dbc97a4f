"""A hook that tests the inference form of a model."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..registry import HOOKS
from .deploy import to_deploy


@HOOKS.register_module()
class DeployHook(Hook):
    """Test the model's inference form, see :func:`hardnet_mm.deploy.to_deploy`.

    Args:
        dtype (str): Name of the type in which it computes. Defaults to 'float32'.
    """

    def __init__(self, dtype: str = 'float32') -> None:
        self.dtype = getattr(torch, dtype)

    def before_test(self, runner: Runner) -> None:
        """Replace the model by its inference form, after its weights have been loaded."""
        model = runner.model
        runner.model = to_deploy(model.module if is_model_wrapper(model) else model, self.dtype)
