"""HarDNet's classification head."""

from typing import Any

from mmpretrain.models.heads import LinearClsHead
from torch import Tensor, nn

from ..registry import MODELS
from ..utils.arguments import typed


@MODELS.register_module()
class DropoutLinearClsHead(LinearClsHead):
    """mmpretrain's linear head with dropout before it (PingoLH/Pytorch-HarDNet).

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the pooled features, ``(N, in_channels)``.
        dropout (float): Probability of dropping a channel. Defaults to 0.
        **kwargs: The other arguments of ``LinearClsHead``.
    """

    @typed
    def __init__(
        self, num_classes: int, in_channels: int, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return what the linear layer reads, ``(N, in_channels)``, of the tuple ``feats``."""
        return self.dropout(super().pre_logits(feats))
