"""MNN."""

import json
import os
import sys

import numpy as np

from .common import need, run_converter, setting_of
from .onnx import Onnx


class Mnn:
    """MNN, for phones and small boards. Its bizCode has the names of the classes, as JSON."""

    @staticmethod
    def convert(end_to_end, images, path):
        """Write an MNN file, by way of ONNX."""
        need('MNN')
        graph = path.with_suffix('.onnx')
        Onnx.convert(end_to_end, images, graph)
        # the converter itself: the command around it, MNN.tools.mnnconvert, installs a package by
        # pip, and reports to a web service
        command = [sys.executable, '-c', 'import sys, _tools; _tools.mnnconvert(sys.argv)']
        command += ['-f', 'ONNX', '--modelFile', graph, '--MNNModel', path]
        command += ['--bizCode', json.dumps(dict(classes=end_to_end.classes))]
        run_converter('mnnconvert', command, path)

    def __init__(self, path, threads=None, dtype='float32'):
        precision = setting_of(dtype, dict(float32='high', bfloat16='low_bf16'), 'mnn')
        self.nn, self.expr = need('MNN.nn'), need('MNN.expr')
        settings = dict(numThread=threads or os.cpu_count(), precision=precision, backend=0)
        manager = self.nn.create_runtime_manager((settings,))
        # no names of outputs: all of them
        self.module = self.nn.load_module_from_file(
            str(path), ['images'], [], runtime_manager=manager
        )
        info = self.module.get_info()
        self.names, self.classes = info['outputNames'], json.loads(info['bizCode'])['classes']

    def __call__(self, images):
        """Map an image batch to a dict of outputs."""
        results = [self._run(image[None]) for image in images]  # it takes one shape well
        return {name: np.concatenate([r[i] for r in results]) for i, name in enumerate(self.names)}

    def _run(self, images):
        expr = self.expr
        inputs = expr.placeholder(list(images.shape), expr.NCHW)
        inputs.write(np.ascontiguousarray(images))
        outputs = self.module.forward([inputs])
        # as NCHW, or the channels come padded to a multiple of four
        return [np.array(expr.convert(output, expr.NCHW).read()) for output in outputs]
