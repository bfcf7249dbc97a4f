"""ncnn."""

import os

import numpy as np
import torch

from ...utils.errors import InputError
from .common import need, only_float32, run_converter
from .table import FORMATS


class Ncnn:
    """ncnn: a .param file and an .ncnn.bin file. It runs one image at a time, at a fixed size.

    The files cannot contain the names of classes.
    """

    classes = None

    @classmethod
    def convert(cls, end_to_end, images, path):
        """Write the two files, by way of TorchScript and pnnx."""
        need('ncnn')
        traced = path.with_suffix('.pt')
        with torch.no_grad():
            torch.jit.trace(end_to_end, images[:1], check_trace=False).save(str(traced))
        shape = ','.join(map(str, images[:1].shape))
        command = [need('pnnx').EXEC_PATH, traced, f'inputshape=[{shape}]', f'ncnnparam={path}']
        command += [f'ncnnbin={cls.weights(path)}', 'fp16=0']
        run_converter('pnnx', command, path)
        names = dict(in0='images', **{f'out{i}': name for i, name in enumerate(end_to_end.names)})
        path.write_text(rename_blobs(path.read_text(), names))

    @staticmethod
    def weights(path):
        """Return the path of the weights."""
        return FORMATS['ncnn'].files(path)[1]

    def __init__(self, path, threads=None, dtype='float32'):
        only_float32(dtype, 'ncnn')
        self.ncnn = need('ncnn')
        self.net = self.ncnn.Net()
        self.net.opt.num_threads = threads or os.cpu_count()
        self.net.opt.use_fp16_storage = self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = False
        for read, file in ((self.net.load_param, path), (self.net.load_model, self.weights(path))):
            if read(str(file)):
                raise InputError(f'ncnn cannot read {file}{_lacking(path)}')
        self.names = list(self.net.output_names())

    def __call__(self, images):
        """Map an image batch to a dict of outputs."""
        results = [self._run(image) for image in images]
        return {name: np.stack([r[i] for r in results]) for i, name in enumerate(self.names)}

    def _run(self, image):
        extractor = self.net.create_extractor()
        extractor.input('images', self.ncnn.Mat(np.ascontiguousarray(image)))
        return [self._output(extractor, name) for name in self.names]

    def _output(self, extractor, name):
        code, output = extractor.extract(name)
        if code:
            raise InputError(
                f'ncnn cannot compute {name}: the model needs an operator that ncnn lacks'
            )
        return np.array(output)


def _lacking(path):
    """Return a message on the operators that ncnn lacks. In pnnx's file, their names have a dot."""
    kinds = {line.split()[0] for line in path.read_text().splitlines()[2:]}
    lacking = sorted(kind for kind in kinds if '.' in kind)
    return f': it has no operator for {", ".join(lacking)}' if lacking else ''


def rename_blobs(param, names):
    """Return the text of an ncnn .param with some blobs renamed.

    A line is: type, name, number of inputs, of outputs, the inputs, the outputs, settings
    (https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure).
    """
    magic, counts, *layers = param.splitlines()
    lines = [magic, counts]
    for layer in layers:
        fields = layer.split()
        end = 4 + int(fields[2]) + int(fields[3])
        blobs = [names.get(blob, blob) for blob in fields[4:end]]
        lines.append(' '.join([*fields[:4], *blobs, *fields[end:]]))
    return '\n'.join(lines) + '\n'
