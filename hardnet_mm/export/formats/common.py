"""What the formats share: their packages, what their runtimes compute in, and converters."""

import importlib
import os
import subprocess
import sys

from ...utils.errors import InputError
from .table import install_hint


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
