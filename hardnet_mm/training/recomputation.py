"""Training in less memory: the backward pass recomputes what the forward pass did not store.

There are two methods, which are arguments of :class:`hardnet_mm.backbones.HarDNet`:

- ``with_cp`` recomputes complete blocks, including their convolutions (Chen et al., Training Deep
  Nets with Sublinear Memory Cost, 2016);
- ``memory_efficient`` recomputes concatenations, norms and activations. Of each layer only the
  output of the convolution is stored (Pleiss et al., Memory-Efficient Implementation of DenseNets,
  2017).

Neither changes layers, parameters, outputs or gradients. Both have no effect under
``torch.compile`` and ``torch.export``, under tracers, and under the transforms of ``torch.func``.
"""

import threading
from functools import partial

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint
from torch.utils.weak import WeakTensorKeyDictionary

from ..backbones import HarDBlock
from ..registry import FUNCTIONS
from ..utils.tracing import in_plain_autograd, is_eager

_state = threading.local()


@FUNCTIONS.register_module()
def recompute(backbone, blocks=False, features=False):
    """Let a backbone recompute in the backward pass.

    Args:
        backbone (nn.Module): A backbone of :class:`~hardnet_mm.backbones.HarDBlock` blocks and of
            mmcv's ConvModules. It is changed in place.
        blocks (bool): Whether to recompute complete blocks. Defaults to False.
        features (bool): Whether to recompute concatenations, norms and activations. The backward
            pass then raises an error if a parameter has changed since the forward pass. Defaults to
            False.
    """
    if blocks:
        for module in backbone.modules():
            if type(module) is HarDBlock:
                module.__class__ = RecomputingHarDBlock
    if features:
        remember_activations(backbone)
        backbone.register_forward_pre_hook(_enter, with_kwargs=True)
        backbone.register_forward_hook(_leave, with_kwargs=True, always_call=True)


class RecomputingHarDBlock(HarDBlock):
    """A block that the backward pass recomputes completely. Only ``forward`` differs."""

    def forward(self, x):
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        if in_plain_autograd(x) and x.requires_grad:
            return checkpoint(super().forward, x, use_reentrant=False)
        return super().forward(x)


def _enter(backbone, args, kwargs):
    if in_plain_autograd(*args, *kwargs.values()):
        _state.entered = [*getattr(_state, 'entered', ()), RecomputeFeatures()]
        _state.entered[-1].__enter__()


def _leave(backbone, args, kwargs, outputs):
    if in_plain_autograd(*args, *kwargs.values()):
        _state.entered.pop().__exit__(None, None, None)


class RecomputeFeatures(torch.autograd.graph.saved_tensors_hooks):
    """A context in which concatenations and remembered tensors are saved as recipes.

    A recipe recomputes its tensor in the backward pass. :func:`remember` adds tensors.
    """

    def __init__(self):
        super().__init__(_pack, lambda saved: saved())
        self._concatenations = RememberConcatenations()

    def __enter__(self):
        """Start to record how tensors are computed."""
        # weak: with_cp stores even less, and a recipe must not keep tensors that are not saved
        self._outer, _state.recipes = getattr(_state, 'recipes', None), WeakTensorKeyDictionary()
        self._concatenations.__enter__()
        return super().__enter__()

    def __exit__(self, *args):
        """Forget the recipes that autograd has not saved."""
        super().__exit__(*args)
        self._concatenations.__exit__(*args)
        _state.recipes = self._outer


class RememberConcatenations(TorchFunctionMode):
    """A context in which the results of ``torch.cat(tensors, dim=...)`` are remembered."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Call the function, and record how its result is computed."""
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if function is torch.cat and len(args) == 1 and kwargs.keys() == {'dim'}:
            remember(result, lambda *parts: torch.cat(parts, **kwargs), *args[0])
        return result


def recomputes():
    """Return whether a :class:`RecomputeFeatures` context is active."""
    return getattr(_state, 'recipes', None) is not None


class Original:
    """A stored tensor, which must not change before the backward pass.

    Autograd checks this for tensors that it stores itself, but not for those that a hook stores.
    They are therefore checked here. The tensor is detached, because a graph that holds its own
    outputs is never freed.
    """

    def __init__(self, tensor):
        self.tensor, self.version = tensor.detach(), tensor._version

    def __call__(self):
        """Return the tensor.

        Raises:
            RuntimeError: If the tensor was changed in place, with autograd's own message.
        """
        if self.tensor._version != self.version:
            raise RuntimeError(
                'one of the variables needed for gradient computation has been modified by an '
                f'inplace operation: [{self.tensor.type()} {list(self.tensor.shape)}] is at '
                f'version {self.tensor._version}; expected version {self.version} instead.'
            )
        return self.tensor


class Recipe:
    """How to recompute a tensor: a function, and its inputs, which may be recipes themselves.

    The tensor is recomputed when the backward pass first reads it, and stored until the last read.
    """

    def __init__(self, function, *inputs):
        self.function = function
        self.inputs = [None if tensor is None else _pack(tensor) for tensor in inputs]
        self.uses, self.result = 0, None

    def __call__(self):
        """Return the tensor."""
        result = self.result
        if result is None:
            with torch.no_grad():
                result = self.function(*(saved and saved() for saved in self.inputs))
        self.uses -= 1
        self.result = result if self.uses > 0 else None
        return result


def remember(tensor, function, *inputs):
    """Record how a tensor is computed, in case autograd saves it for the backward pass.

    Args:
        tensor (Tensor): The tensor.
        function (Callable): Computes a new tensor with the same values from the inputs.
        inputs (Tensor | None): The inputs, which are stored unless they are remembered, too.
    """
    # a tensor without a gradient is of frozen layers, whose other tensors are not stored either
    if recomputes() and tensor.requires_grad:
        recipe = Recipe(function, *inputs)
        recipe.version = tensor._version
        _state.recipes[tensor] = recipe


def _find(tensor):
    """Return the recipe of a tensor; None if there is none, or if the tensor has changed since."""
    recipe = _state.recipes.get(tensor)
    if recipe is not None and recipe.version not in (None, tensor._version):
        recipe = None
    return recipe


def _pack(tensor):
    recipe = _find(tensor)
    if recipe is None:
        return Original(tensor)
    recipe.uses += 1
    return recipe


def remember_norm(norm, inputs, output):
    """Forward hook that records how a BatchNorm computes its output."""
    if not (is_eager(output) and recomputes()):
        return
    # a batch's own statistics do not depend on the running ones, which must not move again
    of_batch = norm.training or norm.running_mean is None
    running = (None, None) if of_batch else (norm.running_mean, norm.running_var)
    normalize = partial(functional.batch_norm, training=of_batch, momentum=0.0, eps=norm.eps)
    remember(output, normalize, inputs[0], *running, norm.weight, norm.bias)


def before_activation(activate, inputs):
    """Forward pre-hook that adds an in-place activation to the recipe of its input."""
    recipe = _find(inputs[0]) if is_eager(inputs[0]) and recomputes() else None
    if recipe is not None and recipe.uses == 0:
        make = recipe.function
        recipe.function = lambda *inputs: activate.forward(make(*inputs))
        recipe.version = None  # any, while the activation runs: autograd may save its output


def after_activation(activate, inputs, output):
    """Forward hook that records the version of an activation's output, to detect later changes."""
    recipe = _find(output) if is_eager(output) and recomputes() else None
    if recipe is not None:
        recipe.version = output._version


def remember_activations(module):
    """Register hooks for all mmcv ConvModules of a module with BatchNorm."""
    for conv_module in module.modules():
        norm = getattr(conv_module, 'norm', None)
        if not getattr(conv_module, 'with_norm', False) or type(norm) is not torch.nn.BatchNorm2d:
            continue
        norm.register_forward_hook(remember_norm)
        if conv_module.with_activation and getattr(conv_module.activate, 'inplace', False):
            conv_module.activate.register_forward_pre_hook(before_activation)
            conv_module.activate.register_forward_hook(after_activation)
