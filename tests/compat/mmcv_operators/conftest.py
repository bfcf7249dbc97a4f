import importlib
import importlib.util
import pkgutil

import mmcv.ops
import pytest
import torch

from hardnet_mm.compat.mmcv_operators import make_extension

COMPILED = getattr(importlib.util.find_spec('mmcv._ext'), 'origin', None) is not None


@pytest.fixture
def use_own(monkeypatch):
    """Let mmcv.ops call the stand-in, whatever this mmcv was installed with."""
    extension = make_extension()
    for info in pkgutil.iter_modules(mmcv.ops.__path__):
        module = importlib.import_module(f'mmcv.ops.{info.name}')
        if hasattr(module, 'ext_module'):
            monkeypatch.setattr(module, 'ext_module', extension)


@pytest.fixture
def compare(monkeypatch):
    """Compare what a function returns with compiled operators and with the stand-in."""
    if not COMPILED:
        pytest.skip('this mmcv was installed without compiled operators')

    def compare(module, function, *inputs, atol=2e-5):
        module = importlib.import_module(f'mmcv.ops.{module}')
        compiled = run(function, inputs)
        with monkeypatch.context() as patch:
            patch.setattr(module, 'ext_module', make_extension())
            own = run(function, inputs)
        assert len(own) == len(compiled)
        for ours, theirs in zip(own, compiled):
            torch.testing.assert_close(ours, theirs, atol=atol, rtol=1e-4)
        return own

    return compare


def run(function, inputs):
    """Return a function's output and its inputs' gradients, those of floating-point numbers."""
    leaves = [tensor.clone() for tensor in inputs]
    numbers = [leaf.requires_grad_() for leaf in leaves if leaf.is_floating_point()]
    output = function(*leaves)
    if not output.requires_grad:
        return [output]
    generator = torch.Generator().manual_seed(7)
    weights = torch.randn(output.shape, generator=generator).to(output)
    grads = torch.autograd.grad(output, numbers, weights, allow_unused=True)
    return [output.detach(), *(grad for grad in grads if grad is not None)]
