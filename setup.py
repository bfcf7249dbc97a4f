import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70
    from wheel.bdist_wheel import bdist_wheel
try:
    from setuptools.command.editable_wheel import editable_wheel
except ImportError:  # setuptools before 64, whose editable installation is develop
    editable_wheel = object

ROOT = Path(__file__).parent
# mim looks for these in a checkout's root, or in .mim inside an installed package. It takes no
# config that it finds twice, and looks through all of a checkout, which must hold no second copy.
FOR_MIM = ('configs', 'tools', 'model-index.yml')
IN_CHECKOUT = ROOT / 'hardnet_mm/.mim'


def copy_for_mim(folder):
    """Copy what mim looks for into a folder, in place of an earlier copy."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in (path for name in FOR_MIM for path in (ROOT / name, *(ROOT / name).rglob('*'))):
        if path.suffix in ('.py', '.sh', '.yml', '.md'):
            target = Path(folder, path.relative_to(ROOT))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


class BuildWithMim(build_py):
    """Put .mim into the package, where every release of mim looks for it."""

    def run(self):
        """Build the package, then copy."""
        super().run()
        if not getattr(self, 'editable_mode', False):
            copy_for_mim(Path(self.build_lib, 'hardnet_mm/.mim'))


class WheelWithMim(bdist_wheel):
    """Put .mim into the metadata folder too, where onedl-mim 0.5.1 looks for it.

    It takes the first name in an installed wheel's list of files for the package, and
    'hardnet_mm-...dist-info' sorts before 'hardnet_mm'.
    """

    def write_wheelfile(self, wheelfile_base, *args, **kwargs):
        """Write the metadata's own file, then copy; an editable wheel has the checkout for it."""
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        if 'editable_wheel' not in self.distribution.commands:
            copy_for_mim(Path(wheelfile_base, '.mim'))


class DevelopWithMim(develop):
    """Link .mim to the checkout: openmim looks inside the package even there."""

    def run(self):
        """Link, then install."""
        IN_CHECKOUT.mkdir(exist_ok=True)
        for name in FOR_MIM:
            if not os.path.lexists(IN_CHECKOUT / name):
                (IN_CHECKOUT / name).symlink_to(Path('../..', name))
        super().run()


class EditableWithoutMim(editable_wheel):
    """Leave no second copy of the configs in a checkout."""

    def run(self):
        """Remove what another kind of installation left there, then install."""
        for folder in (IN_CHECKOUT, ROOT / 'build/lib/hardnet_mm/.mim'):
            shutil.rmtree(folder, ignore_errors=True)
        super().run()


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
    test=[
        'hypothesis',
        'mypy',
        'pysodmetrics',
        'pytest',
        'pytest-xdist',
        'ruff',
        'scikit-image',
        'scikit-learn',
    ],
    demo=['gradio>=6'],
    docs=['mkdocs', 'mkdocs-material', 'mkdocstrings[python]'],
    polyp=['pysodmetrics'],
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
    author='the hardnet_mm developers',
    license='Apache-2.0',
    keywords=(
        'HarDNet OpenMMLab mmdet mmsegmentation mmpretrain PyTorch object-detection '
        'semantic-segmentation image-classification SSD CenterNet'
    ).split(),
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in (10, 11, 12)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    project_urls={
        'Paper': 'https://arxiv.org/abs/1909.00948',
        'Original classification': 'https://github.com/PingoLH/Pytorch-HarDNet',
        'Original SSD': 'https://github.com/lzx1413/PytorchSSD',
        'Original CenterNet': 'https://github.com/PingoLH/CenterNet-HarDNet',
        'Original FC-HarDNet': 'https://github.com/PingoLH/FCHarDNet',
        'Original HarDNet-MSEG': 'https://github.com/james128333/HarDNet-MSEG',
        'Original HarDNet-DFUS': 'https://github.com/kytimmylai/DFUC2022',
    },
    python_requires='>=3.10',
    packages=find_packages(include=['hardnet_mm', 'hardnet_mm.*']),
    package_data={'hardnet_mm': ['py.typed', 'kernels/triton/*.json']},
    install_requires=['torch>=2.1', 'numpy', 'filelock', 'rich'],
    extras_require=EXTRAS,
    cmdclass=dict(
        build_py=BuildWithMim,
        bdist_wheel=WheelWithMim,
        develop=DevelopWithMim,
        editable_wheel=EditableWithoutMim,
    ),
    zip_safe=False,
)
