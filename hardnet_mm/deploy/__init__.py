"""The inference form of a model: :func:`to_deploy`."""

from ..utils.installed import HAS_MM
from .deploy import to_deploy
from .fused_conv import FusedConv

__all__ = ['FusedConv', 'to_deploy']

if HAS_MM:
    from .hook import DeployHook  # noqa: F401

    __all__ += ['DeployHook']
