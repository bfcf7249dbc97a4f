"""Checkpoints of the originals and of this plugin, loaded by path, address or published name."""

from .keys import convert_official, is_official, to_official

__all__ = ['convert_official', 'is_official', 'to_official']
