"""HarDNet's classification head."""

from typing import Any

from mmpretrain.models.heads import LinearClsHead
from torch import Tensor, nn

from ..backbones.architectures import HEAD_DROPOUT
from ..registry import MODELS
from ..utils.arguments import typed


@MODELS.register_module()
class DropoutLinearClsHead(LinearClsHead):
    """mmpretrain's linear head with dropout before it (PingoLH/Pytorch-HarDNet).

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the pooled features, ``(N, in_channels)``.
        dropout (float | str): Probability of dropping a channel, or the name of a published
            variant for its original probability. Defaults to 0.
        **kwargs: The other arguments of ``LinearClsHead``.

    Raises:
        ValueError: If ``dropout`` names no published classifier, or is not from 0 to 1.
    """

    @typed
    def __init__(
        self, num_classes: int, in_channels: int, dropout: float | str = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        if isinstance(dropout, str):
            if dropout not in HEAD_DROPOUT:
                raise ValueError(
                    f'dropout must be a number or one of {list(HEAD_DROPOUT)}, got {dropout!r}'
                )
            dropout = HEAD_DROPOUT[dropout]
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return the linear layer's input, ``(N, in_channels)``, of the backbone's ``feats``."""
        return self.dropout(super().pre_logits(feats))
