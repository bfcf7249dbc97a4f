"""The structure loss of PraNet, HarDNet-MSEG and HarDNet-DFUS."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..registry import MODELS
from ..utils.arguments import typed

WINDOW = 31  # pixels across
EMPHASIS = 5
SMOOTHING = 1


@MODELS.register_module()
class StructureLoss(nn.Module):
    """Cross entropy and IoU loss of one foreground channel, with higher weights near borders.

    With the mask m and the predicted probability p of the foreground, a pixel's weight is
    ``w = 1 + 5 |mean of m over 31 x 31 - m|``, with zero padding. The loss of an image is a cross
    entropy plus the weighted IoU loss ``1 - (sum wpm + 1) / (sum w(p + m) - sum wpm + 1)``. The
    loss of a batch is the mean over images.

    In the papers the cross entropy is weighted, too: ``sum w BCE / sum w``. The programs of PraNet
    and HarDNet-MSEG contain these weights. But they call the cross entropy with a deprecated
    argument that PyTorch reads as a request for the mean, so the weights cancel out. In
    HarDNet-DFUS's program the weights have an effect, as in the papers.

    Masks may be soft, from 0 to 1. All pixels count.

    Args:
        weighted_cross_entropy (bool): Whether the cross entropy is weighted, as in the papers.
            Defaults to False, as in the programs of PraNet and HarDNet-MSEG.
        loss_weight (float): Weight of the loss. Defaults to 1.0.
        loss_name (str): Its name in the log. Defaults to 'loss_structure'.
    """

    @typed
    def __init__(
        self,
        weighted_cross_entropy: bool = False,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_structure',
    ) -> None:
        super().__init__()
        self.weighted_cross_entropy = weighted_cross_entropy
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self, pred: Tensor, target: Tensor, weight: Tensor | None = None, **_: Any
    ) -> Tensor:
        """Return the mean over the images, a scalar.

        Args:
            pred (Tensor): Logits, ``(N, 1, H, W)``.
            target (Tensor): Mask, ``(N, H, W)``, integers or soft values, from 0 to 1.
            weight (Tensor, optional): Not supported. Defaults to None.

        Raises:
            ValueError: If ``pred`` has more than one channel, or weights of the pixels are given.
        """
        if pred.shape[1] != 1 or pred.shape[2:] != target.shape[1:]:
            raise ValueError(
                f'StructureLoss takes one logit for each pixel of a mask, got {tuple(pred.shape)} '
                f'and a mask of {tuple(target.shape)}: set out_channels=1 in the decode head'
            )
        if weight is not None:
            raise ValueError("StructureLoss weights pixels itself: leave the head's sampler out")
        logits, mask = pred[:, 0].float(), target.float()  # sums of many pixels in float16 overflow
        weights = 1 + EMPHASIS * (_local_mean(mask) - mask).abs()
        cross_entropy = functional.binary_cross_entropy_with_logits(logits, mask, reduction='none')
        if self.weighted_cross_entropy:
            cross_entropy = _sum(weights * cross_entropy) / _sum(weights)
        losses = cross_entropy.mean() + _iou_loss(logits.sigmoid(), mask, weights).mean()
        return self.loss_weight * losses


def _local_mean(mask):
    """Average over the window around each pixel, with zero padding."""
    # along one axis and then the other: the same mean with a fifteenth of the additions
    for kernel in ((WINDOW, 1), (1, WINDOW)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        mask = functional.avg_pool2d(mask, kernel, stride=1, padding=padding)
    return mask


def _iou_loss(probabilities, mask, weights):
    intersection = _sum(weights * probabilities * mask)
    union = _sum(weights * (probabilities + mask)) - intersection
    return 1 - (intersection + SMOOTHING) / (union + SMOOTHING)


def _sum(pixels):
    return pixels.flatten(1).sum(dim=1)
