import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.egg_info import egg_info

ROOT = Path(__file__).parent


def mim_files():
    """Return what mim looks for in the package's .mim, whose entries are links to the root's."""
    package = ROOT / 'hardnet_mm'
    walked = os.walk(package / '.mim', followlinks=True)
    files = [
        Path(folder, name).relative_to(package) for folder, _, names in walked for name in names
    ]
    return [str(path) for path in files if path.suffix in ('.py', '.sh', '.yml')]


class EggInfoWithMim(egg_info):
    """Put .mim into the metadata folder too, where onedl-mim 0.5.1 looks for it.

    It takes the first name in an installed wheel's list of files for the package, and
    'hardnet_mm-...dist-info' sorts before 'hardnet_mm'.
    """

    def run(self):
        """Write the metadata, then copy what .mim links to."""
        super().run()
        copy = Path(self.egg_info, '.mim')
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ROOT / 'hardnet_mm/.mim', copy)


# The toolboxes are extras: either stack serves, and a requirement on one would overwrite the other.
EXTRAS = dict(
    onedl=[
        'onedl-mmengine>=0.10.12',
        'onedl-mmcv>=2.3.6',
        'onedl-mmdetection>=3.5.1',
        'onedl-mmsegmentation>=1.4.2',
        'onedl-mmpretrain>=1.3.6',
        'onedl-mim>=0.5.1',
        'torchvision',
    ],
    openmmlab=[
        'mmengine>=0.10.3,<0.11',
        'mmcv>=2.0.0rc4,<2.2.0',
        'mmdet>=3.3.0,<3.4',
        'mmsegmentation>=1.2.2,<1.3',
        'mmpretrain>=1.2.0,<1.3',
        'openmim',
        'ftfy',  # mmseg and mmpretrain import these two without requiring them
        'regex',
        'torchvision',
    ],
    test=['pytest', 'pytest-xdist', 'ruff', 'scikit-image', 'scikit-learn'],
    export=['onnx', 'onnxruntime', 'openvino', 'nncf', 'ncnn', 'pnnx', 'MNN'],
)

setup(
    name='hardnet_mm',
    version=re.search(
        r"__version__ = '(.+)'", (ROOT / 'hardnet_mm/__init__.py').read_text(encoding='utf-8')
    )[1],
    description='HarDNet, a low memory traffic network, for mmdet, mmsegmentation and mmpretrain',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['hardnet_mm', 'hardnet_mm.*']),
    package_data={'hardnet_mm': mim_files()},
    install_requires=['torch>=2.0', 'numpy', 'filelock', 'rich'],
    extras_require=EXTRAS,
    cmdclass=dict(egg_info=EggInfoWithMim),
    zip_safe=False,
)
