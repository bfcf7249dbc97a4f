"""Priors of the original SSD programs, whose sides are at most the image's."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.task_modules.prior_generators import SSDAnchorGenerator
from torch import Tensor

from ..registry import TASK_UTILS
from ..utils.arguments import typed


@TASK_UTILS.register_module()
class ClippedSSDAnchorGenerator(SSDAnchorGenerator):
    """mmdet's SSD priors with widths and heights of at most ``input_size``.

    The original program clips its priors in centre-size form (lzx1413/PytorchSSD, PriorBox). Sides
    shrink to those of the image, and the centre does not move. A prior near the image border can
    still cross it.

    Args:
        min_sizes (Sequence[float]): Side of each level's small square, in pixels.
        max_sizes (Sequence[float]): Side of the next larger size. The side of the large square is
            the geometric mean of the two.
        input_size (int): Side of the square input image, in pixels. Defaults to 512.
        **kwargs: The other arguments of ``SSDAnchorGenerator``.

    Raises:
        ValueError: If there are not as many sizes as strides, or one is not positive.
    """

    @typed
    def __init__(
        self,
        min_sizes: Sequence[float],
        max_sizes: Sequence[float],
        strides: Sequence[int],
        input_size: int = 512,
        **kwargs: Any,
    ) -> None:
        if not len(min_sizes) == len(max_sizes) == len(strides):
            raise ValueError(
                'min_sizes, max_sizes and strides must have one value a level, got '
                f'{len(min_sizes)}, {len(max_sizes)} and {len(strides)}'
            )
        if min(*min_sizes, *max_sizes, input_size) <= 0:
            raise ValueError(f'sizes must be positive: {min_sizes}, {max_sizes}, {input_size}')
        self.input_size = input_size
        super().__init__(strides, min_sizes=min_sizes, max_sizes=max_sizes, **kwargs)

    def gen_base_anchors(self) -> list[Tensor]:
        """Return each level's priors of the first position, ``(priors, 4)``, x1 y1 x2 y2 in pixels.

        The order is: small square, large square, then a wide and a tall prior for each ratio.
        """
        clipped = []
        for anchors in super().gen_base_anchors():
            center = (anchors[:, :2] + anchors[:, 2:]) / 2
            half = (anchors[:, 2:] - anchors[:, :2]).clamp(max=self.input_size) / 2
            clipped.append(torch.cat([center - half, center + half], dim=1))
        return clipped
