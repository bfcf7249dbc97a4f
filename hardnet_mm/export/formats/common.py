"""What the formats share: importing packages, checking types, running converters."""

import importlib
import os
import subprocess
import sys

from ...utils.errors import InputError
from .table import install_hint


def need(package):
    """Import a format's package.

    Raises:
        ImportError: If the package is not installed. The message says how to install it.
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
    """Refuse any type but float32, for runtimes that compute in float32 only."""
    if dtype != 'float32':
        raise InputError(f'{name} runs in float32 here, got {dtype}: openvino and mnn run bfloat16')


def setting_of(dtype, settings, name):
    """Return a runtime's setting for a type of computation.

    Raises:
        InputError: If the runtime has none for it.
    """
    if dtype not in settings:
        raise InputError(f'{name} runs in {" or ".join(settings)} here, got {dtype}')
    return settings[dtype]


def run_converter(name, command, path):
    """Run a format's converter.

    Raises:
        InputError: If it fails, or writes nothing. The message has the converter's last lines.
    """
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=path.parent
    )
    if result.returncode or not path.is_file():
        tail = (result.stdout + result.stderr).strip()[-2000:]
        raise InputError(f'{name} could not convert the model:\n{tail}')
