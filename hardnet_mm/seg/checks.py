"""Checks of the decode heads' arguments and inputs."""

from collections.abc import Sequence

from torch import Tensor

from ..utils.tracing import is_eager


def check_widths(inputs: Sequence[Tensor], in_channels: Sequence[int]) -> None:
    """Refuse inputs ``(N, C_i, H_i, W_i)`` whose channels are not those of the head.

    Raises:
        ValueError: If a ``C_i`` differs from ``in_channels[i]``.
    """
    channels = [x.shape[1] for x in inputs]
    if all(map(is_eager, inputs)) and channels != list(in_channels):
        raise ValueError(
            f"the head's in_channels are {list(in_channels)}, but its inputs have {channels} "
            "channels: see the backbone's channels"
        )


def check_foreground_alone(num_classes: int) -> None:
    """Refuse other numbers of classes than two, background and foreground.

    Raises:
        ValueError: If ``num_classes`` is not 2.
    """
    if num_classes != 2:
        raise ValueError(
            f'num_classes must be 2, background and foreground, got {num_classes}: the head '
            'has one logit'
        )
