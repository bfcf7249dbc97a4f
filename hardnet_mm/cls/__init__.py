"""What classification on HarDNet needs beyond mmpretrain: name this in ``custom_imports``."""

from .dropout_head import DropoutLinearClsHead

__all__ = ['DropoutLinearClsHead']
