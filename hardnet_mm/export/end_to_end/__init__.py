"""An end-to-end model is one function of the images as they are read: to be exported.

Images come as ``(N, 3, H, W)`` float32, 0..255, BGR as OpenCV reads them, at the size that the
model is tested at. Normalisation is inside; so is what follows the network, as far as a file format
can hold it: ``'nms'`` all of it, ``'decode'`` all but NMS, ``'network'`` nothing. The rest is done
by :meth:`EndToEndModel.attach`, on the outputs as NumPy arrays. What a config asks for and no file
can hold is refused when the end-to-end model is made.
"""

from .build import build_end_to_end
from .model import EndToEndModel

__all__ = ['EndToEndModel', 'build_end_to_end']
