"""SSD's neck for HarDNet: a bridge, and extra levels."""

from collections.abc import Sequence
from typing import Any

from mmdet.models.necks import SSDNeck
from torch import Tensor

from ..registry import MODELS
from ..utils.arguments import typed
from .bridge import Bridge
from .priors import PYTORCH_INIT


@MODELS.register_module()
class HarDNetSSDNeck(SSDNeck):
    """mmdet's SSD neck with a bridge between the backbone and the levels.

    The :class:`Bridge` refines the deepest input.

    Args:
        in_channels (Sequence[int]): Channels of the inputs.
        out_channels (Sequence[int]): Channels of the levels; the first ones are the inputs.
        bridge_channels (int): Channels between the bridge's convolutions.
        bridge_dilation (int): Dilation of its Conv3x3. Defaults to 1.
        bridge_norm_cfg (dict): Config of its norm layers. Defaults to ``dict(type='BN')``.
        init_cfg (list[dict]): Initialization config of all layers except the bridge, whose weights
            are He-normal with fan-out. Defaults to the original's: PyTorch's own weights and zero
            biases.
        **kwargs: The other arguments of ``SSDNeck``.
    """

    @typed
    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: Sequence[int],
        bridge_channels: int,
        bridge_dilation: int = 1,
        bridge_norm_cfg: dict = dict(type='BN'),
        init_cfg: list[dict] = [PYTORCH_INIT, dict(type='Constant', val=1, layer='BatchNorm2d')],
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, init_cfg=init_cfg, **kwargs)
        self.bridge = Bridge(in_channels[-1], bridge_channels, bridge_dilation, bridge_norm_cfg)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map the backbone's outputs ``(N, in_channels[i], H_i, W_i)`` to all levels, a tuple."""
        return super().forward((*inputs[:-1], self.bridge(inputs[-1])))
