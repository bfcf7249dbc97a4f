"""Post-training quantisation to int8, by the runtimes' own tools."""

import os

from ..utils.files import written_whole
from .formats.common import need

# The steps after the network are not quantised: decoding multiplies, adds and exponentiates, which
# int8 is not precise enough for.
KEPT_IN_FLOAT = ['Multiply', 'Divide', 'Subtract', 'Exp', 'Softmax', 'Sigmoid', 'ReduceSum']
# Of ONNX: convolutions, and the operators between them.
QUANTIZED = ['Conv', 'Concat', 'MaxPool', 'AveragePool', 'Clip', 'Relu', 'Softmax']


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
    with written_whole(path) as new:
        openvino.save_model(model, new, compress_to_fp16=False)
        os.replace(new.with_suffix('.bin'), path.with_suffix('.bin'))


def quantize_onnx(path, images):
    """Rewrite an ONNX file in int8: its convolutions, and the operators between them.

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
    with written_whole(path) as new:
        quantization.quantize_static(
            path,
            new,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            nodes_to_exclude=[node.name for node in nodes if node.name.count('/') < 2],
            op_types_to_quantize=QUANTIZED,
        )


QUANTIZERS = dict(onnx=quantize_onnx, openvino=quantize_openvino)
