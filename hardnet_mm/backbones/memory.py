"""Training in less memory: what is cheap to make is made again in the backward pass, not kept.

Those are concatenations, norms and activations; of a layer, the convolution's output alone is
kept. It is DenseNet's observation (Pleiss et al., Memory-Efficient Implementation of DenseNets,
2017).
"""

import threading
import weakref

import torch
from torch.nn import functional

_state = threading.local()


class RecomputeFeatures(torch.autograd.graph.saved_tensors_hooks):
    """Within it, the tensors of :func:`remember` are saved for the backward pass as recipes."""

    def __init__(self):
        super().__init__(_pack, lambda saved: saved() if isinstance(saved, Recipe) else saved)

    def __enter__(self):
        """Start to remember how tensors are made."""
        _state.recipes = {}
        return super().__enter__()

    def __exit__(self, *args):
        """Forget it; what is saved for the backward pass is not touched."""
        _state.recipes = None
        return super().__exit__(*args)


def recomputes():
    """Return whether a :class:`RecomputeFeatures` is entered."""
    return getattr(_state, 'recipes', None) is not None


class Recipe:
    """How to make a tensor again: a function of others, which may be recipes themselves.

    The tensor is made when the backward pass first asks for it, and held until it last does.
    """

    def __init__(self, function, *inputs):
        self.function = function
        self.inputs = [_pack(tensor.detach()) for tensor in inputs]
        self.uses, self.result = 0, None

    def __call__(self):
        """Return the tensor."""
        result = self.result
        if result is None:
            with torch.no_grad():
                result = self.function(*(x() if isinstance(x, Recipe) else x for x in self.inputs))
        self.uses -= 1
        self.result = result if self.uses > 0 else None
        return result


def remember(tensor, function, *inputs):
    """Note how a tensor is made, where something may save it."""
    if recomputes():
        _state.recipes[tensor.data_ptr()] = weakref.ref(tensor), Recipe(function, *inputs)


def _pack(tensor):
    made, recipe = _state.recipes.get(tensor.data_ptr(), (lambda: None, None))
    made = made()  # None once it is freed, and its address may be another tensor's
    if made is None or made.shape != tensor.shape:
        return tensor
    recipe.uses += 1
    return recipe


def concatenate(features):
    """Concatenate ``(N, C_i, H, W)`` along the channels; a single one is passed on uncopied."""
    if len(features) == 1:
        return features[0]
    whole = torch.cat(features, dim=1)
    remember(whole, lambda *parts: torch.cat(parts, dim=1), *features)
    return whole


class RememberActivation:
    """A hook of a BatchNorm, for its output once the activation after it has changed it in place.

    Args:
        activate (nn.Module, optional): That activation. Defaults to None: there is none.
    """

    def __init__(self, activate=None):
        self.activate = activate

    def __call__(self, norm, inputs, output):
        """Note how the activated output is made of the norm's input."""
        running = (None, None) if norm.training else (norm.running_mean, norm.running_var)
        remember(output, lambda x: self._make(norm, running, x), inputs[0])

    def _make(self, norm, running, x):
        # in training the statistics are the batch's, and the running ones are left alone
        x = functional.batch_norm(
            x, *running, norm.weight, norm.bias, running[0] is None, 0.0, norm.eps
        )
        return x if self.activate is None else self.activate(x)


def remember_activations(module):
    """Register hooks for all mmcv ConvModules of a module with BatchNorm."""
    for conv_module in module.modules():
        norm = getattr(conv_module, 'norm', None)
        if not getattr(conv_module, 'with_norm', False) or type(norm) is not torch.nn.BatchNorm2d:
            continue
        activate = conv_module.activate if conv_module.with_activation else None
        if activate is None or getattr(activate, 'inplace', False):
            norm.register_forward_hook(RememberActivation(activate))
