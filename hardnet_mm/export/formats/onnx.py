"""ONNX. The files of OpenVINO and MNN are converted from it, too."""

import contextlib
import io
import json

import torch

from ...utils.errors import InputError
from ..adaptive_pooling import exported_adaptive_pooling
from .common import need, only_float32

OPSET = 17


class Onnx:
    """ONNX, run by ONNX Runtime. The metadata has the names of the classes."""

    @staticmethod
    def convert(end_to_end, images, path):
        """Write an ONNX file. Batch, height and width are free if the model allows it."""
        onnx = need('onnx')
        free = {0: 'batch', **({2: 'height', 3: 'width'} if end_to_end.any_size else {})}
        rows = {name: {0: 'batch'} for name in end_to_end.names}
        settings = dict(dynamo=False) if hasattr(torch.onnx, 'ONNXProgram') else {}
        with (
            torch.no_grad(),
            contextlib.redirect_stdout(io.StringIO()),
            exported_adaptive_pooling(OPSET),
        ):
            try:
                torch.onnx.export(
                    end_to_end,
                    (images,),
                    str(path),
                    input_names=['images'],
                    output_names=list(end_to_end.names),
                    dynamic_axes=dict(images=free, **rows),
                    opset_version=OPSET,
                    **settings,
                )
            except torch.onnx.errors.OnnxExporterError as error:
                raise InputError(f'ONNX cannot hold the model: {error}') from error
        if end_to_end.classes:
            model = onnx.load(str(path))
            onnx.helper.set_model_props(model, dict(classes=json.dumps(end_to_end.classes)))
            onnx.save(model, str(path))

    def __init__(self, path, threads=None, dtype='float32'):
        only_float32(dtype, 'onnx')
        runtime = need('onnxruntime')
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        self.session = runtime.InferenceSession(
            str(path), options, providers=['CPUExecutionProvider']
        )
        self.names = [output.name for output in self.session.get_outputs()]
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.classes = json.loads(metadata.get('classes', 'null'))

    def __call__(self, images):
        """Map an image batch to a dict of outputs."""
        return dict(zip(self.names, self.session.run(None, dict(images=images))))
