"""What is computed from weights once, and again when they change."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Packed:
    """A cache of something computed from layers' weights and biases, such as packed weights.

    It is recomputed when one of them changes, and is not part of copies and files.

    Args:
        make (Callable): Computes it.
    """

    def __init__(self, make: Callable) -> None:
        self.make = make
        self._made: tuple = (None, None)

    def __call__(self, layers: Sequence[nn.Module], *args: Any) -> Any:
        """Return the value for the layers' current weights; ``make`` takes the other arguments."""
        state = [(_state_of(layer.weight), _state_of(layer.bias)) for layer in layers]
        if state != self._made[0]:
            with torch.inference_mode(False), torch.no_grad():  # its tensors count their versions
                self._made = state, self.make(*args)
        return self._made[1]

    def __reduce__(self) -> tuple:
        """Copy and save without the value."""
        return Packed, (self.make,)


def _state_of(weight: Tensor | None) -> tuple:
    """Return a value that changes when a weight is replaced or modified."""
    if weight is None:
        return ()
    # an inference tensor (loaded by assignment in inference mode) counts no versions: never equal
    version = float('nan') if weight.is_inference() else weight._version
    return weight.dtype, weight.data_ptr(), version
