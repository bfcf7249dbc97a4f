"""The boundary loss of HarDNet-DFUS."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..registry import MODELS
from ..utils.arguments import typed

THRESHOLD = 0.1


@MODELS.register_module()
class LaplacianBoundaryLoss(nn.Module):
    """Cross entropy of channels that are to find the foreground's inner boundary.

    A pixel is on the boundary where the Laplacian of the mask, eight times the pixel less its eight
    neighbours, zeros beyond the border, exceeds 0.1. Every channel learns it.

    The original takes the logistic function of the channels, and then, within the cross entropy,
    that of the result. So probabilities lie between 0.5 and 0.73, and the loss never below 0.31.

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
            pred (Tensor): ``(N, C, H, W)``, of any values.
            target (Tensor): Mask, ``(N, 1, H, W)``, integers or soft, from 0 to 1.
        """
        kernel = torch.full((1, 1, 3, 3), -1.0, device=target.device)
        kernel[..., 1, 1] = 8
        with torch.autocast(target.device.type, enabled=False):  # float16 rounds soft masks
            boundary = functional.conv2d(target.float(), kernel, padding=1) > THRESHOLD
        boundary = boundary.float().expand(-1, pred.shape[1], -1, -1)
        loss = functional.binary_cross_entropy_with_logits(pred.float().sigmoid(), boundary)
        return self.loss_weight * loss
