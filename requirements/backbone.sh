#!/usr/bin/env bash
# requirements/backbone.sh TORCH: the tests of the backbones with that release of PyTorch and mmcv-lite,
# without a toolbox, in an environment of its own. PYTHON names the interpreter.
set -eu

torch=$1
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=.venv-torch-$torch-$("$python" -c 'import sys; print("py%d.%d" % sys.version_info[:2])')
if [ ! -e "$venv/.installed" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    # mmengine 0.10.7 imports pkg_resources, which a later setuptools has not
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
        "torch==$torch" torchvision mmengine==0.10.7 mmcv-lite==2.1.0 'setuptools<82' \
        pytest filelock rich
    touch "$venv/.installed"
fi
"$venv/bin/python" -c '
import platform
from importlib.metadata import version
print("Python", platform.python_version(), *(f"{n} {version(n)}" for n in ("torch", "mmengine", "mmcv-lite")))'
PYTHONPATH=$PWD "$venv/bin/python" -m pytest -q -m 'not slow' tests/backbones \
    --ignore tests/backbones/test_like_resnet.py
