"""What all operators share: their table, checks of arguments, and a warning at the first call.

Sums of products are written as elementwise products and sums, not as matrix products. An operator
of mmcv computes in the precision of its input, and autocast would lower that of a matrix product.
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
        function (Callable): The stand-in, with the compiled operator's arguments.
        computed_by (str): The functions that compute it, as the documentation's table names them.
        compared_with (str): The reference that tests compare its values and gradients with.
    """

    function: object
    computed_by: str
    compared_with: str


def operator(computed_by, compared_with, slow=False, **shapes):
    """Register a function in :data:`OPERATORS` under its name.

    A call checks its tensors, which must be on one device. The tensors named in ``shapes`` must be
    floating-point and have a shape such as ``'N C H W'``. A letter stands for the same size in all
    shapes. A number stands for itself.

    Args:
        computed_by (str): The functions that compute it, for the documentation's table.
        compared_with (str): The reference that it is tested against, for the same table.
        slow (bool): Whether the first call warns that this is a slow stand-in. Defaults to False.
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

        OPERATORS[function.__name__] = Operator(call, computed_by, compared_with)
        return call

    return enter


def check(name, given, shapes):
    """Check an operator's tensors: one device, floating-point numbers, the declared shapes.

    Raises:
        RuntimeError: If a tensor does not fit; mmcv's compiled operators raise the same type. The
            message names the argument and its fault.
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
    """Return whether a shape is the wanted one; if so, store the sizes of new letters.

    ``5+`` means five or more.
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
        f"mmcv was installed without compiled operators: '{name}' is computed by PyTorch, with the "
        'same result but slower',
        stacklevel=4,
    )


def widened(*tensors):
    """Return tensors in single precision at least: 16-bit ones are converted to float32."""
    return [tensor.float() if tensor.dtype in LOW_PRECISION else tensor for tensor in tensors]


def gradients(function, inputs, grad_output):
    """Return the gradients with respect to a function's inputs, by recomputing the function.

    Args:
        function (Callable): Takes the tensors of ``inputs`` and returns a tensor.
        inputs (Sequence[Tensor]): The function's inputs.
        grad_output (Tensor): Gradient with respect to the function's output.
    """
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        output = function(*leaves)
    return torch.autograd.grad(output, leaves, grad_output)
