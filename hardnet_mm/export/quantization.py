"""Post-training quantisation to int8, by the runtimes' own tools."""

import os

from .formats.common import need

# What follows the network is too coarse in int8: decoding multiplies, adds and exponentiates.
KEPT_IN_FLOAT = ['Multiply', 'Divide', 'Subtract', 'Exp', 'Softmax', 'Sigmoid', 'ReduceSum']


def quantize_openvino(path, images):
    """Rewrite an OpenVINO file in int8.

    Args:
        path (Path): The .xml file.
        images (list[ndarray]): Batches to calibrate on.
    """
    nncf, openvino = need('nncf'), need('openvino')
    model = nncf.quantize(
        openvino.Core().read_model(path),
        nncf.Dataset(images),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        ignored_scope=nncf.IgnoredScope(types=KEPT_IN_FLOAT, validate=False),
    )
    new = path.with_name('int8-' + path.name)
    openvino.save_model(model, new, compress_to_fp16=False)
    os.replace(new.with_suffix('.bin'), path.with_suffix('.bin'))
    os.replace(new, path)


def quantize_onnx(path, images):
    """Rewrite an ONNX file in int8: its convolutions, and what lies between them.

    Args:
        path (Path): The file.
        images (list[ndarray]): Batches to calibrate on.
    """
    quantization = need('onnxruntime.quantization')

    class Reader(quantization.CalibrationDataReader):
        batches = iter([dict(images=batch) for batch in images])

        def get_next(self):
            return next(self.batches, None)

    # what follows the network is in no module (/Mul, not /backbone/stem.0/Conv), and would lose
    # boxes and scores to rounding
    nodes = need('onnx').load(path).graph.node
    new = path.with_name('int8-' + path.name)
    quantization.quantize_static(
        path,
        new,
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        nodes_to_exclude=[node.name for node in nodes if node.name.count('/') < 2],
        op_types_to_quantize=[
            'Conv',
            'Concat',
            'MaxPool',
            'AveragePool',
            'Clip',
            'Relu',
            'Softmax',
        ],
    )
    os.replace(new, path)


QUANTIZERS = dict(onnx=quantize_onnx, openvino=quantize_openvino)
