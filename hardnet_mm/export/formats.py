"""The file formats that a whole model is exported to, each with the runtime that runs it.

A format is a class: ``convert`` writes the files, an instance loads them, and a call maps an image
batch ``(N, 3, H, W)`` float32 to the outputs, a dict of NumPy arrays. ``classes`` are the names of
the classes that the file holds, or None. A converter installs nothing, sends nothing, and writes
into the folder of its file alone.
"""

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from ..utils.errors import InputError
from .adaptive_pooling import exported_adaptive_pooling
from .format_files import FORMAT_FILES, install_hint

OPSET = 17


def need(package):
    """Import a format's package, or say how to get it.

    Raises:
        ImportError: If it is not installed.
    """
    # Runtimes report their use to web services unasked. OpenVINO and NNCF do by this package, and
    # work without it where it cannot be imported; for ONNX Runtime see its Privacy.md.
    sys.modules.setdefault('openvino_telemetry', None)
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        root = package.partition('.')[0]
        if error.name != root:  # it is there, and something that it needs is not
            raise
        raise ImportError(install_hint([root]), name=root) from error


def only_float32(dtype, name):
    """Refuse another type than a runtime computes in."""
    if dtype != 'float32':
        raise InputError(f'{name} runs in float32 here, got {dtype}: openvino and mnn run bfloat16')


class Onnx:
    """ONNX, run by ONNX Runtime; the names of the classes are in its metadata."""

    suffix = FORMAT_FILES['onnx'].suffix
    inside, any_size = 'nms', True

    @staticmethod
    def convert(whole, images, path):
        """Write an ONNX file; batch, height and width stay free where the model allows it."""
        onnx = need('onnx')
        free = {0: 'batch', **({2: 'height', 3: 'width'} if whole.any_size else {})}
        rows = {name: {0: 'batch'} for name in whole.names}
        settings = dict(dynamo=False) if hasattr(torch.onnx, 'ONNXProgram') else {}
        with (
            torch.no_grad(),
            contextlib.redirect_stdout(io.StringIO()),
            exported_adaptive_pooling(OPSET),
        ):
            try:
                torch.onnx.export(
                    whole,
                    (images,),
                    str(path),
                    input_names=['images'],
                    output_names=list(whole.names),
                    dynamic_axes=dict(images=free, **rows),
                    opset_version=OPSET,
                    **settings,
                )
            except torch.onnx.errors.OnnxExporterError as error:
                raise InputError(f'ONNX cannot hold the model: {error}') from error
        if whole.classes:
            model = onnx.load(str(path))
            onnx.helper.set_model_props(model, dict(classes=json.dumps(whole.classes)))
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
        """Map an image batch to the outputs by name."""
        return dict(zip(self.names, self.session.run(None, dict(images=images))))


class OpenVino:
    """OpenVINO's IR, an .xml with a .bin beside it; the names of the classes are in the .xml."""

    suffix = FORMAT_FILES['openvino'].suffix
    inside, any_size = 'nms', True
    classes_at = ['hardnet_mm', 'classes']

    @classmethod
    def convert(cls, whole, images, path):
        """Write the two files, weights in float32."""
        openvino = need('openvino')
        graph = path.with_suffix('.onnx')
        Onnx.convert(whole, images, graph)
        model = openvino.convert_model(graph)
        if whole.classes:
            model.set_rt_info(json.dumps(whole.classes), cls.classes_at)
        openvino.save_model(model, path, compress_to_fp16=False)

    def __init__(self, path, threads=None, dtype='float32'):
        core = need('openvino').Core()
        settings = {'INFERENCE_PRECISION_HINT': dict(float32='f32', bfloat16='bf16')[dtype]}
        if threads:
            settings['INFERENCE_NUM_THREADS'] = threads
        model = core.read_model(str(path))
        has_classes = model.has_rt_info(self.classes_at)
        self.classes = (
            json.loads(model.get_rt_info(self.classes_at).astype(str)) if has_classes else None
        )
        self.model = core.compile_model(model, 'CPU', settings)
        # an output may keep the names of what was computed before it, paths with a slash
        self.names = [
            min(output.get_names(), key=lambda name: ('/' in name, name))
            for output in self.model.outputs
        ]

    def __call__(self, images):
        """Map an image batch to the outputs by name."""
        return dict(zip(self.names, self.model(images).to_tuple()))


class TorchScript:
    """TorchScript, for PyTorch without Python or this package."""

    suffix = FORMAT_FILES['torch'].suffix
    inside, any_size = 'decode', True

    @staticmethod
    def convert(whole, images, path):
        """Write a traced module."""
        with torch.no_grad():
            traced = torch.jit.trace(whole, images, check_trace=False)
        extra = dict(names=json.dumps(whole.names), classes=json.dumps(whole.classes))
        traced.save(str(path), _extra_files=extra)

    def __init__(self, path, threads=None, dtype='float32'):
        only_float32(dtype, 'torch')
        extra = dict(names='', classes='')
        self.module = torch.jit.load(str(path), _extra_files=extra).eval()
        self.names, self.classes = json.loads(extra['names']), json.loads(extra['classes'])
        if threads:
            torch.set_num_threads(threads)

    def __call__(self, images):
        """Map an image batch to the outputs by name."""
        with torch.no_grad():
            outputs = self.module(torch.from_numpy(images))
        return {name: output.numpy() for name, output in zip(self.names, outputs)}


class Mnn:
    """MNN, for phones and small boards; the names of the classes are its bizCode, as JSON."""

    suffix = FORMAT_FILES['mnn'].suffix
    inside, any_size = 'decode', True

    @staticmethod
    def convert(whole, images, path):
        """Write an MNN file, by way of ONNX."""
        need('MNN')
        graph = path.with_suffix('.onnx')
        Onnx.convert(whole, images, graph)
        # the converter itself: the command around it, MNN.tools.mnnconvert, installs a package by
        # pip, and reports to a web service
        command = [sys.executable, '-c', 'import sys, _tools; _tools.mnnconvert(sys.argv)']
        command += ['-f', 'ONNX', '--modelFile', graph, '--MNNModel', path]
        command += ['--bizCode', json.dumps(dict(classes=whole.classes))]
        run_converter('mnnconvert', command, path)

    def __init__(self, path, threads=None, dtype='float32'):
        self.nn, self.expr = need('MNN.nn'), need('MNN.expr')
        settings = dict(numThread=threads or os.cpu_count(), precision='high', backend=0)
        if dtype != 'float32':
            settings['precision'] = 'low_bf16'
        manager = self.nn.create_runtime_manager((settings,))
        # no names of outputs: all of them
        self.module = self.nn.load_module_from_file(
            str(path), ['images'], [], runtime_manager=manager
        )
        info = self.module.get_info()
        self.names, self.classes = info['outputNames'], json.loads(info['bizCode'])['classes']

    def __call__(self, images):
        """Map an image batch to the outputs by name."""
        results = [self._run(image[None]) for image in images]  # it takes one shape well
        return {name: np.concatenate([r[i] for r in results]) for i, name in enumerate(self.names)}

    def _run(self, images):
        expr = self.expr
        inputs = expr.placeholder(list(images.shape), expr.NCHW)
        inputs.write(np.ascontiguousarray(images))
        outputs = self.module.forward([inputs])
        # as NCHW, or the channels come padded to a multiple of four
        return [np.array(expr.convert(output, expr.NCHW).read()) for output in outputs]


class Ncnn:
    """ncnn, a .param with an .ncnn.bin beside it; one image at a time, at the size exported.

    It has no place for the names of classes.
    """

    suffix = FORMAT_FILES['ncnn'].suffix
    inside, any_size = 'network', False
    classes = None

    @classmethod
    def convert(cls, whole, images, path):
        """Write the two files, by way of TorchScript and pnnx."""
        need('ncnn')
        traced = path.with_suffix('.pt')
        with torch.no_grad():
            torch.jit.trace(whole, images[:1], check_trace=False).save(str(traced))
        shape = ','.join(map(str, images[:1].shape))
        command = [need('pnnx').EXEC_PATH, traced, f'inputshape=[{shape}]', f'ncnnparam={path}']
        command += [f'ncnnbin={cls.weights(path)}', 'fp16=0']
        run_converter('pnnx', command, path)
        names = dict(in0='images', **{f'out{i}': name for i, name in enumerate(whole.names)})
        path.write_text(rename_blobs(path.read_text(), names))

    @staticmethod
    def weights(path):
        """Return the path of the weights."""
        return FORMAT_FILES['ncnn'].files(path)[1]

    def __init__(self, path, threads=None, dtype='float32'):
        only_float32(dtype, 'ncnn')
        self.ncnn = need('ncnn')
        self.net = self.ncnn.Net()
        self.net.opt.num_threads = threads or os.cpu_count()
        self.net.opt.use_fp16_storage = self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = False
        for read, file in ((self.net.load_param, path), (self.net.load_model, self.weights(path))):
            if read(str(file)):
                raise InputError(f'ncnn cannot read {file}')
        self.names = list(self.net.output_names())

    def __call__(self, images):
        """Map an image batch to the outputs by name."""
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


def rename_blobs(param, names):
    """Return the text of an ncnn .param with some blobs named otherwise.

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


def run_converter(name, command, path):
    """Run a format's converter, whose own words tell what it cannot convert.

    Raises:
        InputError: If it fails, or writes nothing.
    """
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=path.parent
    )
    if result.returncode or not path.is_file():
        tail = (result.stdout + result.stderr).strip()[-2000:]
        raise InputError(f'{name} could not convert the model:\n{tail}')


FORMATS = dict(onnx=Onnx, openvino=OpenVino, torch=TorchScript, mnn=Mnn, ncnn=Ncnn)
SUFFIXES = {files.suffix: name for name, files in FORMAT_FILES.items()}


def load(path, **kwargs):
    """Load an exported file by its suffix; see :data:`FORMATS`.

    Raises:
        FileNotFoundError: If it is not there, or one of the files that belong to it.
        ValueError: If it has another suffix.
    """
    name = SUFFIXES.get(Path(path).suffix)
    if name is None:
        raise InputError(f'{path} is no exported file: {[*SUFFIXES]}')
    for file in FORMAT_FILES[name].files(path):
        if not file.is_file():
            raise FileNotFoundError(f'there is no {file}, which {name} needs')
    return FORMATS[name](path, **kwargs)


def is_exported(path):
    """Tell an exported file from a checkpoint, by its suffix."""
    return Path(path).suffix in SUFFIXES
