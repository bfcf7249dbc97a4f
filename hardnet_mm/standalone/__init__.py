"""HarDNet without a toolbox: plain PyTorch models."""

from .classifier import create_model

__all__ = ['create_model']
