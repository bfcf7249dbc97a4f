"""What changes how a model trains, but not what it computes."""

from .hooks import ChannelsLastHook, FiniteLossHook, LabelCheckHook
from .in_place_relu6 import InPlaceReLU6
from .recomputation import recompute

__all__ = [
    'ChannelsLastHook',
    'FiniteLossHook',
    'InPlaceReLU6',
    'LabelCheckHook',
    'recompute',
]
