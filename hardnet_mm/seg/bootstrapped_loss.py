"""Bootstrapped cross entropy: the hard pixels of each image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..registry import MODELS
from ..utils.arguments import typed


@MODELS.register_module()
class BootstrappedCrossEntropyLoss(nn.Module):
    """Cross entropy of the hard pixels, image by image (PingoLH/FCHarDNet, loss/loss.py).

    An image's loss is the mean over the pixels whose loss exceeds ``threshold``. If there are no
    more than ``min_kept`` such pixels, it is the mean over the ``min_kept`` pixels with the largest
    losses. Ignored pixels have a loss of zero.

    Args:
        threshold (float): Loss above which a pixel is hard. Defaults to 0.3.
        min_kept (int): Minimum number of pixels per image. Defaults to 4096.
        class_weight (list[float], optional): Weight of each class. Defaults to None.
        loss_weight (float): Weight of the loss. Defaults to 1.0.
        loss_name (str): Its name in the log. Defaults to 'loss_bootstrapped'.
    """

    @typed
    def __init__(
        self,
        threshold: float = 0.3,
        min_kept: int = 4096,
        class_weight: Sequence[float] | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_bootstrapped',
    ) -> None:
        super().__init__()
        if min_kept < 1:
            raise ValueError(f'min_kept must be at least 1, got {min_kept}')
        self.threshold = threshold
        self.min_kept = min_kept
        if class_weight is not None:
            class_weight = torch.tensor(class_weight, dtype=torch.float32)
        # a buffer: a list would be copied to the GPU in each iteration, which waits for it
        self.register_buffer('class_weight', class_weight, persistent=False)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = 255,
        **_: Any,
    ) -> Tensor:
        """Return the mean over the images, a scalar.

        Args:
            pred (Tensor): Class scores, ``(N, classes, H, W)``.
            target (Tensor): Classes, int64 ``(N, H, W)``.
            weight (Tensor, optional): Weight of each pixel, ``(N, H, W)``. Defaults to None.
            ignore_index (int): Class of pixels that do not count. Defaults to 255.
        """
        class_weight = None if self.class_weight is None else self.class_weight.to(pred)
        losses = functional.cross_entropy(
            pred, target, class_weight, reduction='none', ignore_index=ignore_index
        )
        if weight is not None:
            losses = losses * weight
        losses = losses.flatten(1)
        hard = losses > self.threshold
        num_hard = hard.sum(dim=1)
        kept = min(self.min_kept, losses.shape[1])
        # Both means are computed: branching on num_hard would synchronise the device.
        above = (losses * hard).sum(dim=1) / num_hard.clamp(min=1)
        hardest = losses.topk(kept, dim=1, sorted=False).values.mean(dim=1)
        return self.loss_weight * torch.where(num_hard > kept, above, hardest).mean()
