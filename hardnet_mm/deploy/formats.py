"""The file formats that a whole model is exported to, each with the runtime that runs it.

A format is a class: ``convert`` writes the files, an instance loads them, and a call maps an image
batch ``(N, 3, H, W)`` float32 to the outputs, a dict of NumPy arrays.
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


def need(package, install=None):
    """Import a format's package, or say how to get it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f'this format needs the package {package}: pip install {install or package}, or '
            "pip install 'hardnet_mm[export]' for all formats"
        ) from error


def only_float32(dtype, name):
    """Refuse another type than a runtime computes in."""
    if dtype != 'float32':
        raise ValueError(f'{name} runs in float32 here, got {dtype}: openvino and mnn run bfloat16')


class Onnx:
    """ONNX, run by ONNX Runtime."""

    suffix, inside = '.onnx', 'nms'

    @staticmethod
    def convert(whole, images, path):
        """Write an ONNX file; batch, height and width stay free where the model allows it."""
        need('onnx')
        free = {0: 'batch', **({2: 'height', 3: 'width'} if whole.any_size else {})}
        rows = {name: {0: 'batch'} for name in whole.names}
        settings = dict(dynamo=False) if hasattr(torch.onnx, 'ONNXProgram') else {}
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(
                whole,
                (images,),
                str(path),
                input_names=['images'],
                output_names=list(whole.names),
                dynamic_axes=dict(images=free, **rows),
                opset_version=17,
                **settings,
            )

    def __init__(self, path, threads=None, dtype='float32'):
        only_float32(dtype, 'onnx')
        runtime = need('onnxruntime')
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        self.session = runtime.InferenceSession(
            str(path), options, providers=['CPUExecutionProvider']
        )
        self.names = [output.name for output in self.session.get_outputs()]

    def __call__(self, images):
        """Map an image batch to the outputs by name."""
        return dict(zip(self.names, self.session.run(None, dict(images=images))))


class OpenVino:
    """OpenVINO's IR, an .xml with a .bin beside it."""

    suffix, inside = '.xml', 'nms'

    @staticmethod
    def convert(whole, images, path):
        """Write the two files, weights in float32."""
        openvino = need('openvino')
        graph = path.with_suffix('.onnx')
        Onnx.convert(whole, images, graph)
        openvino.save_model(openvino.convert_model(graph), path, compress_to_fp16=False)
        graph.unlink()

    def __init__(self, path, threads=None, dtype='float32'):
        openvino = need('openvino')
        settings = {'INFERENCE_PRECISION_HINT': dict(float32='f32', bfloat16='bf16')[dtype]}
        if threads:
            settings['INFERENCE_NUM_THREADS'] = threads
        self.model = openvino.Core().compile_model(str(path), 'CPU', settings)
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

    suffix, inside = '.torchscript', 'decode'

    @staticmethod
    def convert(whole, images, path):
        """Write a traced module."""
        with torch.no_grad():
            traced = torch.jit.trace(whole, images, check_trace=False)
        traced.save(str(path), _extra_files={'names': json.dumps(whole.names)})

    def __init__(self, path, threads=None, dtype='float32'):
        only_float32(dtype, 'torch')
        names = {'names': ''}
        self.module = torch.jit.load(str(path), _extra_files=names).eval()
        self.names = json.loads(names['names'])
        if threads:
            torch.set_num_threads(threads)

    def __call__(self, images):
        """Map an image batch to the outputs by name."""
        with torch.no_grad():
            outputs = self.module(torch.from_numpy(images))
        return {name: output.numpy() for name, output in zip(self.names, outputs)}


class Mnn:
    """MNN, for phones and small boards."""

    suffix, inside = '.mnn', 'decode'

    @staticmethod
    def convert(whole, images, path):
        """Write an MNN file, by way of ONNX."""
        need('MNN')
        graph = path.with_suffix('.onnx')
        Onnx.convert(whole, images, graph)
        command = [sys.executable, '-m', 'MNN.tools.mnnconvert', '-f', 'ONNX']
        command += ['--modelFile', graph, '--MNNModel', path, '--bizCode', 'hardnet_mm']
        run_converter(command, path)
        graph.unlink()
        path.with_suffix('.json').write_text(json.dumps(whole.names))

    def __init__(self, path, threads=None, dtype='float32'):
        self.nn, self.expr = need('MNN.nn', 'MNN'), need('MNN.expr', 'MNN')
        self.numpy = need('MNN.numpy', 'MNN')
        self.names = json.loads(Path(path).with_suffix('.json').read_text())
        settings = dict(numThread=threads or os.cpu_count(), precision='high', backend=0)
        if dtype != 'float32':
            settings['precision'] = 'low_bf16'
        manager = self.nn.create_runtime_manager((settings,))
        self.module = self.nn.load_module_from_file(
            str(path), ['images'], self.names, runtime_manager=manager
        )

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
    """ncnn, a .param with a .bin beside it; one image at a time, at the size exported."""

    suffix, inside = '.param', 'network'

    @staticmethod
    def convert(whole, images, path):
        """Write the two files, by way of TorchScript and pnnx."""
        need('pnnx')
        need('ncnn')
        traced = path.with_suffix('.pt')
        with torch.no_grad():
            torch.jit.trace(whole, images[:1], check_trace=False).save(str(traced))
        shape = 'x'.join(map(str, images[:1].shape))
        command = [
            Path(sys.executable).with_name('pnnx'),
            traced,
            f'inputshape=[{shape.replace("x", ",")}]',
        ]
        command += [f'ncnnparam={path}', f'ncnnbin={path.with_suffix(".bin")}', 'fp16=0']
        run_converter(command, path)
        keep = {path.name, path.with_suffix('.bin').name}
        for left in path.parent.iterdir():
            if left.name not in keep:
                left.unlink()
        path.with_suffix('.json').write_text(json.dumps(whole.names))

    def __init__(self, path, threads=None, dtype='float32'):
        only_float32(dtype, 'ncnn')
        self.ncnn = need('ncnn')
        self.names = json.loads(Path(path).with_suffix('.json').read_text())
        self.net = self.ncnn.Net()
        self.net.opt.num_threads = threads or os.cpu_count()
        self.net.opt.use_fp16_storage = self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = False
        self.net.load_param(str(path))
        self.net.load_model(str(Path(path).with_suffix('.bin')))

    def __call__(self, images):
        """Map an image batch to the outputs by name."""
        results = [self._run(image) for image in images]
        return {name: np.stack([r[i] for r in results]) for i, name in enumerate(self.names)}

    def _run(self, image):
        extractor = self.net.create_extractor()
        extractor.input('in0', self.ncnn.Mat(np.ascontiguousarray(image)))
        return [self._output(extractor, f'out{i}') for i in range(len(self.names))]

    def _output(self, extractor, name):
        code, output = extractor.extract(name)
        if code:
            raise RuntimeError(
                f'ncnn cannot compute {name}: the model needs an operator that ncnn lacks'
            )
        return np.array(output)


def run_converter(command, path):
    """Run a format's converter, whose own words tell what it cannot convert."""
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=path.parent
    )
    if result.returncode or not path.is_file():
        tail = (result.stdout + result.stderr).strip()[-2000:]
        raise RuntimeError(f'{command[0]} could not convert the model:\n{tail}')


FORMATS = dict(onnx=Onnx, openvino=OpenVino, torch=TorchScript, mnn=Mnn, ncnn=Ncnn)


def load(path, **kwargs):
    """Load an exported file by its suffix; see :data:`FORMATS`.

    Raises:
        ValueError: If it has another one.
    """
    for kind in FORMATS.values():
        if kind.suffix == Path(path).suffix:
            return kind(path, **kwargs)
    raise ValueError(f'{path} is no exported file: {[kind.suffix for kind in FORMATS.values()]}')


def is_exported(path):
    """Tell an exported file from a checkpoint, by its suffix."""
    return Path(path).suffix in {kind.suffix for kind in FORMATS.values()}
