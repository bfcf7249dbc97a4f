"""TorchScript."""

import json

import torch

from .common import only_float32


class TorchScript:
    """TorchScript, for PyTorch without Python or this package."""

    @staticmethod
    def convert(end_to_end, images, path):
        """Write a traced module."""
        with torch.no_grad():
            traced = torch.jit.trace(end_to_end, images, check_trace=False)
        extra = dict(names=json.dumps(end_to_end.names), classes=json.dumps(end_to_end.classes))
        traced.save(str(path), _extra_files=extra)

    def __init__(self, path, threads=None, dtype='float32'):
        only_float32(dtype, 'torch')
        extra = dict(names='', classes='')
        self.module = torch.jit.load(str(path), _extra_files=extra).eval()
        self.names, self.classes = json.loads(extra['names']), json.loads(extra['classes'])
        if threads:
            torch.set_num_threads(threads)

    def __call__(self, images):
        """Map an image batch to a dict of outputs."""
        with torch.no_grad():
            outputs = self.module(torch.from_numpy(images))
        return {name: output.numpy() for name, output in zip(self.names, outputs)}
