"""What changes how a model trains, but not what it computes."""

from ..utils.installed import HAS_MM
from .in_place_relu6 import InPlaceReLU6
from .recomputation import recompute

__all__ = ['InPlaceReLU6', 'recompute']

if HAS_MM:
    from .hooks import ChannelsLastHook, FiniteLossHook, LabelCheckHook  # noqa: F401

    __all__ += ['ChannelsLastHook', 'FiniteLossHook', 'LabelCheckHook']
