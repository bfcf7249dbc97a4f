"""HarDNet for OpenMMLab: importing this package makes it known to every toolbox."""

from . import compatibility, hooks, model_hub, weights  # noqa: F401, some register by being here
from .backbones import HarDNet
from .classifier import create_model

__version__ = '0.1.0'
__all__ = ['HarDNet', '__version__', 'create_model']

compatibility.apply()
model_hub.register_models()
