"""The inference form of a model: :func:`to_deploy`."""

from .deploy import to_deploy
from .fused_conv import FusedConv

__all__ = ['FusedConv', 'to_deploy']
