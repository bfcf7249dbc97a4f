"""A module's function on a GPU, launched as one CUDA graph."""

import warnings
from collections.abc import Callable

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from ..utils.tracing import is_eager

MOST_GRAPHS = 8  # shapes; each has memory of its own


class GraphedFunction:
    """Replays a module's function as CUDA graphs, one for each shape of its tensors.

    Launching one graph is faster than launching dozens of short kernels from Python. The first call
    with a shape runs the function and records a graph. If the module's weights have changed since,
    graphs are recorded again. At most eight shapes are recorded. Outputs are new tensors, as from
    the function itself. The function is called directly on a CPU, under tracers, and while
    gradients or another graph are recorded.

    Args:
        function (callable): The function. Its control flow must not depend on tensor values.
        module (nn.Module): The module whose weights it uses.

    Attributes:
        graphs (dict): The recorded graphs, by shapes of the arguments.
    """

    def __init__(self, function: Callable, module: nn.Module) -> None:
        self.function = function
        self.module = module
        self.graphs: dict = {}
        self._state: list = []

    def __call__(self, *args, **kwargs):
        """Return the function's outputs for the arguments."""
        if not torch.cuda.is_initialized():
            return self.function(*args, **kwargs)
        leaves, spec = tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if not tensors or not _can_graph(tensors):
            return self.function(*args, **kwargs)
        with torch.cuda.device_of(tensors[0]):
            return self._call(args, kwargs, leaves, spec, tensors)

    def _call(self, args, kwargs, leaves, spec, tensors):
        key = (
            repr(spec),
            tuple(leaf for leaf in leaves if not isinstance(leaf, torch.Tensor)),
            tuple((x.shape, x.stride(), x.dtype, x.device) for x in tensors),
        )
        state = [_state_of(weight) for weight in self.module.parameters()]
        if state != self._state:
            self.graphs.clear()
            self._state = state
        if key not in self.graphs:
            if len(self.graphs) == MOST_GRAPHS:  # image sizes keep changing
                return self.function(*args, **kwargs)
            self.graphs[key] = self._record(leaves, spec)
        recorded = self.graphs[key]
        if recorded is None:
            return self.function(*args, **kwargs)
        graph, inputs, outputs = recorded
        for static, tensor in zip(inputs, tensors):
            static.copy_(tensor)
        graph.replay()
        return tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, outputs)

    def _record(self, leaves, spec):
        """Return a graph, its inputs and outputs; None if the function cannot be recorded."""
        leaves = [x.clone() if isinstance(x, torch.Tensor) else x for x in leaves]
        args, kwargs = tree_unflatten(leaves, spec)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # what is chosen or compiled at a first run
            for _ in range(2):
                self.function(*args, **kwargs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                outputs = self.function(*args, **kwargs)
        except RuntimeError as error:
            warnings.warn(
                f'{type(self.module).__name__} cannot be recorded as a CUDA graph, and is launched '
                f'kernel by kernel, more slowly: {error}',
                stacklevel=2,
            )
            torch.cuda.synchronize()
            return None
        return graph, [x for x in leaves if isinstance(x, torch.Tensor)], outputs

    def __reduce__(self):
        """Copy and save without the graphs, which refer to one model's memory."""
        return GraphedFunction, (self.function, self.module)


def _state_of(weight):
    """Return a value that changes with a weight. An inference tensor has no version counter."""
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version


def _can_graph(tensors):
    return (
        all(x.is_cuda and is_eager(x) for x in tensors)
        and not (torch.is_grad_enabled() and any(x.requires_grad for x in tensors))
        and not torch.cuda.is_current_stream_capturing()
    )
