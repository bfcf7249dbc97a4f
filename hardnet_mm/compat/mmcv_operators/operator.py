"""What all operators share: a table of them, checks of what they are given, one word of warning.

Sums of products are written as such, not as matrix products: an operator of mmcv computes in the
precision of its input, and autocast would take a matrix product for one of the model's.
"""

import functools
import inspect
import warnings
from dataclasses import dataclass

import torch

OPERATORS: dict = {}
LOW_PRECISION = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Operator:
    """An operator of ``mmcv._ext`` that is computed without compiled code.

    Attributes:
        function (Callable): What is called in its place.
        made_of (str): What computes it.
        compared_with (str): What its values, and its gradients, are tested against.
    """

    function: object
    made_of: str
    compared_with: str


def operator(made_of, compared_with, slow=False, **shapes):
    """Enter a function in :data:`OPERATORS` under its name.

    Tensors must lie on one device. Those named in ``shapes`` must have floating-point numbers, and
    a shape like ``'N C H W'``: the same letter is the same size everywhere, a number is that size.

    Args:
        made_of (str): What computes it, for the table in the docs.
        compared_with (str): What it is tested against, for the same.
        slow (bool): Whether to say, at the first call, that this is a stand-in. Defaults to False.
        **shapes (str): Shapes of arguments.
    """

    def enter(function):
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args, **kwargs):
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            check(function.__name__, given.arguments, shapes)
            if slow:
                say_once(function.__name__)
            with torch.no_grad():
                return function(*given.args, **given.kwargs)

        OPERATORS[function.__name__] = Operator(call, made_of, compared_with)
        return call

    return enter


def check(name, given, shapes):
    """Raise an error for tensors that an operator cannot work on.

    Raises:
        RuntimeError: As mmcv's compiled operators do, and what is wrong with which argument.
    """
    tensors = {key: value for key, value in given.items() if isinstance(value, torch.Tensor)}
    devices = {key: value.device for key, value in tensors.items() if value.numel()}
    if len(set(devices.values())) > 1:
        places = ', '.join(f'{key} on {device}' for key, device in devices.items())
        raise RuntimeError(f'{name}: all tensors must be on one device, got {places}')
    sizes = {}
    for key, shape in shapes.items():
        value = tensors.get(key)
        if value is None:
            raise RuntimeError(f'{name}: {key} must be a tensor, got {given[key]!r}')
        if not value.is_floating_point():
            raise RuntimeError(f'{name}: {key} must be floating-point numbers, got {value.dtype}')
        wanted = shape.split()
        if len(wanted) != value.dim() or not _fits(wanted, value.shape, sizes):
            known = ', '.join(f'{letter} = {size}' for letter, size in sizes.items())
            raise RuntimeError(
                f'{name}: {key} must have the shape ({", ".join(wanted)}), got '
                f'{tuple(value.shape)}' + (f', where {known}' if known else '')
            )


def _fits(wanted, shape, sizes):
    """Tell whether a shape is the wanted one, and note the sizes of new letters if it is.

    ``5+`` is five or more.
    """
    found = {}
    for token, size in zip(wanted, shape):
        if token.endswith('+'):
            token = token[:-1] if size < int(token[:-1]) else str(size)
        if size != (int(token) if token.isdigit() else {**found, **sizes}.get(token, size)):
            return False
        if not token.isdigit():
            found[token] = size
    sizes.update(found)
    return True


@functools.cache
def say_once(name):
    """Warn, at the first call in this process, that an operator is a slow stand-in."""
    warnings.warn(
        f"mmcv was installed without compiled operators: '{name}' is computed by PyTorch, which "
        'gives the same and is slower',
        stacklevel=4,
    )


def widened(*tensors):
    """Return tensors in single precision at least: 16-bit ones are computed in 32."""
    return [tensor.float() if tensor.dtype in LOW_PRECISION else tensor for tensor in tensors]


def gradients(function, inputs, grad_output):
    """Return the gradients of a function's inputs, from computing it again.

    Args:
        function (Callable): Takes the tensors of ``inputs`` and returns a tensor.
        inputs (Sequence[Tensor]): Where to differentiate.
        grad_output (Tensor): Gradient of what the function returns.
    """
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        output = function(*leaves)
    return torch.autograd.grad(output, leaves, grad_output)
