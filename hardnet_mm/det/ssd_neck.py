"""SSD's neck for HarDNet: a bridge, and extra levels."""

from collections.abc import Sequence
from typing import Any

from mmdet.models.necks import SSDNeck
from torch import Tensor, nn

from ..registry import MODELS
from ..utils.arguments import typed
from ..utils.errors import InputError
from ..utils.initialization import PYTORCH_INIT
from ..utils.tracing import is_eager
from .bridge import Bridge


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
        # a list: SSDNeck appends that of its L2Norm
        init_cfg: list[dict] = [PYTORCH_INIT, dict(type='Constant', val=1, layer='BatchNorm2d')],
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, init_cfg=init_cfg, **kwargs)
        self.bridge = Bridge(in_channels[-1], bridge_channels, bridge_dilation, bridge_norm_cfg)
        self.smallest_map = smallest_map(self.extra_layers)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map the backbone's outputs ``(N, in_channels[i], H_i, W_i)`` to all levels, a tuple.

        Raises:
            InputError: If the last input is too small for the kernels of the extra levels.
        """
        check_map(self, inputs[-1])
        return super().forward((*inputs[:-1], self.bridge(inputs[-1])))


def smallest_map(layers: nn.Module) -> int:
    """Return the least side of a map that the kernels of consecutive convolutions fit into."""
    side = 1
    for conv in reversed([layer for layer in layers.modules() if isinstance(layer, nn.Conv2d)]):
        side = max(1, (side - 1) * conv.stride[0] + conv.kernel_size[0] - 2 * conv.padding[0])
    return side


def check_map(neck: SSDNeck, x: Tensor) -> None:
    """Refuse a map ``(N, C, H, W)`` that is smaller than ``neck.smallest_map``."""
    if is_eager(x) and min(x.shape[2:]) < neck.smallest_map:
        least = neck.smallest_map
        raise InputError(
            f'{type(neck).__name__} needs maps of at least {least} x {least} for its last levels, '
            f'got {x.shape[2]} x {x.shape[3]}: give larger images'
        )
