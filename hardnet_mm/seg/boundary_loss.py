"""The boundary loss of HarDNet-DFUS."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..registry import MODELS
from ..utils.arguments import typed

THRESHOLD = 0.1


@MODELS.register_module()
class LaplacianBoundaryLoss(nn.Module):
    """Cross entropy of channels that learn the inner boundary of the foreground.

    The target is computed from the Laplacian of the mask: eight times a pixel minus its eight
    neighbours, with zero padding. A pixel is on the boundary if its Laplacian exceeds 0.1. All
    channels learn this target.

    As in the original, the sigmoid is applied twice: to the channels, and again within the cross
    entropy. Probabilities are therefore between 0.5 and 0.73, and the loss is at least 0.31.

    Args:
        loss_weight (float): Weight of the loss. Defaults to 1.0.
        loss_name (str): Its name in the log. Defaults to 'loss_boundary'.
    """

    @typed
    def __init__(self, loss_weight: float = 1.0, loss_name: str = 'loss_boundary') -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the mean over images, channels and pixels, a scalar.

        Args:
            pred (Tensor): Logits, ``(N, C, H, W)``.
            target (Tensor): Mask, ``(N, 1, H, W)``, integers or soft, from 0 to 1.
        """
        kernel = torch.full((1, 1, 3, 3), -1.0, device=target.device)
        kernel[..., 1, 1] = 8
        with torch.autocast(target.device.type, enabled=False):  # float16 rounds soft masks
            boundary = functional.conv2d(target.float(), kernel, padding=1) > THRESHOLD
        boundary = boundary.float().expand(-1, pred.shape[1], -1, -1)
        loss = functional.binary_cross_entropy_with_logits(pred.float().sigmoid(), boundary)
        return self.loss_weight * loss
