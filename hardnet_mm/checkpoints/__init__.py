"""Checkpoints: the originals' and ours, by path, by address and by published name."""

from .keys import convert_official, is_official, to_official

__all__ = ['convert_official', 'is_official', 'to_official']
