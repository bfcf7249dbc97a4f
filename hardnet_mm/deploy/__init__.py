"""The inference form of a model: :func:`to_deploy`."""

from .deploy import to_deploy
from .fused_conv import FusedConv
from .hook import DeployHook

__all__ = ['DeployHook', 'FusedConv', 'to_deploy']
