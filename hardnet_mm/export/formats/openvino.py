"""OpenVINO's IR."""

import json
import threading

from .common import need, setting_of
from .onnx import Onnx


class OpenVino:
    """OpenVINO's IR: an .xml file, which has the names of the classes, and a .bin file."""

    classes_at = ['hardnet_mm', 'classes']

    @classmethod
    def convert(cls, end_to_end, images, path):
        """Write the two files, weights in float32."""
        openvino = need('openvino')
        graph = path.with_suffix('.onnx')
        Onnx.convert(end_to_end, images, graph)
        model = openvino.convert_model(graph)
        if end_to_end.classes:
            model.set_rt_info(json.dumps(end_to_end.classes), cls.classes_at)
        openvino.save_model(model, path, compress_to_fp16=False)

    def __init__(self, path, threads=None, dtype='float32'):
        precision = setting_of(dtype, dict(float32='f32', bfloat16='bf16'), 'openvino')
        core = need('openvino').Core()
        settings = {'INFERENCE_PRECISION_HINT': precision}
        if threads:
            settings['INFERENCE_NUM_THREADS'] = threads
        model = core.read_model(str(path))
        self.classes = None
        if model.has_rt_info(self.classes_at):
            self.classes = json.loads(model.get_rt_info(self.classes_at).astype(str))
        self.model = core.compile_model(model, 'CPU', settings)
        self._thread = threading.local()  # a request is used by one thread at a time
        # an output may keep the names of what was computed before it, paths with a slash
        self.names = [
            min(output.get_names(), key=lambda name: ('/' in name, name))
            for output in self.model.outputs
        ]

    def __call__(self, images):
        """Map an image batch to a dict of outputs."""
        if not hasattr(self._thread, 'request'):
            self._thread.request = self.model.create_infer_request()
        return dict(zip(self.names, self._thread.request.infer(images).to_tuple()))
