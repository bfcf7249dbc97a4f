from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from hardnet_mm.registry import HOOKS
from hardnet_mm.utils.configs import build_model


@MODEL_WRAPPERS.register_module(name='WrapperOfThisTest')
class Wrapper(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module


def test_the_hook_tests_the_inference_form(root):
    """Of the model itself, where it is wrapped to be distributed."""
    model = build_model(Config.fromfile(root / 'configs/digits/hardnet39ds_digits.py'))
    wrapped = Wrapper(model)
    for given in (model, wrapped):
        runner = SimpleNamespace(model=given)
        HOOKS.build(dict(type='DeployHook', dtype='bfloat16')).before_test(runner)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in runner.model.modules())
        assert runner.model.backbone.stem[0].weight.dtype == torch.bfloat16
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
