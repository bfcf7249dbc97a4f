"""Training in less memory: what is cheap to make is made again in the backward pass, not kept.

Those are concatenations, norms and activations; of a layer, the convolution's output alone is
kept. It is DenseNet's observation (Pleiss et al., Memory-Efficient Implementation of DenseNets,
2017).
"""

import threading
from functools import partial

import torch
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

_state = threading.local()


class RecomputeFeatures(torch.autograd.graph.saved_tensors_hooks):
    """Within it, the tensors of :func:`remember` are saved for the backward pass as recipes."""

    def __init__(self):
        super().__init__(_pack, lambda saved: saved())

    def __enter__(self):
        """Start to remember how tensors are made."""
        # weak: with_cp keeps less still, and a recipe must not keep what is not saved
        self._outer, _state.recipes = getattr(_state, 'recipes', None), WeakTensorKeyDictionary()
        return super().__enter__()

    def __exit__(self, *args):
        """Forget it; what is saved for the backward pass is not touched."""
        _state.recipes = self._outer
        return super().__exit__(*args)


def recomputes():
    """Return whether a :class:`RecomputeFeatures` is entered."""
    return getattr(_state, 'recipes', None) is not None


class Original:
    """A tensor that is kept, and must stay as it is: autograd checks that, but not behind hooks.

    It is detached, since a graph that holds its own outputs is never freed.
    """

    def __init__(self, tensor):
        self.tensor, self.version = tensor.detach(), tensor._version

    def __call__(self):
        """Return the tensor.

        Raises:
            RuntimeError: If it was changed in place, as autograd does.
        """
        if self.tensor._version != self.version:
            raise RuntimeError(
                'one of the variables needed for gradient computation has been modified by an '
                f'inplace operation: [{self.tensor.type()} {list(self.tensor.shape)}] is at '
                f'version {self.tensor._version}; expected version {self.version} instead.'
            )
        return self.tensor


class Recipe:
    """How to make a tensor again: a function of others, which may be recipes themselves.

    The tensor is made when the backward pass first asks for it, and held until it last does.
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
    """Note how a tensor is made, where something may save it.

    Args:
        tensor (Tensor): The tensor.
        function (Callable): Makes it of the inputs, always anew.
        inputs (Tensor | None): They are kept, unless they are remembered too.
    """
    # without a gradient it comes of frozen layers, whose other tensors are not kept
    if recomputes() and tensor.requires_grad:
        recipe = Recipe(function, *inputs)
        recipe.version = tensor._version
        _state.recipes[tensor] = recipe


def _find(tensor):
    """Return the recipe of a tensor, or None, also where the tensor was changed since."""
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


def concatenate(features):
    """Concatenate ``(N, C_i, H, W)`` along the channels; a single one is passed on uncopied."""
    if len(features) == 1:
        return features[0]
    whole = torch.cat(features, dim=1)
    remember(whole, lambda *parts: torch.cat(parts, dim=1), *features)
    return whole


def remember_norm(norm, inputs, output):
    """Note how a BatchNorm makes its output: a forward hook."""
    # of a batch's statistics the running ones are no part, and are left alone
    of_batch = norm.training or norm.running_mean is None
    running = (None, None) if of_batch else (norm.running_mean, norm.running_var)
    normalize = partial(functional.batch_norm, training=of_batch, momentum=0.0, eps=norm.eps)
    remember(output, normalize, inputs[0], *running, norm.weight, norm.bias)


def before_activation(activate, inputs):
    """Let a recipe include an activation that changes the tensor in place: a forward pre-hook."""
    recipe = _find(inputs[0]) if recomputes() else None
    if recipe is not None and recipe.uses == 0:
        make = recipe.function
        recipe.function = lambda *inputs: activate.forward(make(*inputs))
        recipe.version = None  # any, while it runs: it may save its output


def after_activation(activate, inputs, output):
    """Let a recipe stand for the activated tensor, but for no later change: a forward hook."""
    recipe = _find(output) if recomputes() else None
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
