"""Classification with HarDNet, added to mmpretrain: name this module in ``custom_imports``."""

from .. import needs_mm  # noqa: F401, says what to install
from .dropout_head import DropoutLinearClsHead

__all__ = ['DropoutLinearClsHead']
