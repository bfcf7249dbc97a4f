"""End-to-end models for export: one function from images to outputs.

Images are ``(N, 3, H, W)`` float32, 0..255, BGR as OpenCV reads them, at the size of testing.
Normalisation is part of the function. So are the steps after the network, as far as a file format
supports them: ``'nms'`` contains all steps, ``'decode'`` all but NMS, and ``'network'`` none.
:meth:`EndToEndModel.attach` applies the remaining steps to the outputs as NumPy arrays. A setting
that no file can contain is refused when the end-to-end model is created.
"""

from .build import build_end_to_end
from .model import EndToEndModel

__all__ = ['EndToEndModel', 'build_end_to_end']
