"""A virtual environment of its own for a test."""

import site
import subprocess
import sysconfig
import venv
from pathlib import Path

import hardnet_mm

ROOT = Path(hardnet_mm.__file__).parents[1]


class Environment:
    """A new virtual environment that sees this one's packages."""

    def __init__(self, folder):
        venv.create(folder, symlinks=True)
        self.python = folder / 'bin/python'
        paths = sysconfig.get_paths(vars=dict(base=str(folder), platbase=str(folder)))
        self.packages = Path(paths['purelib'])
        own = [*site.getsitepackages(), ROOT]
        Path(self.packages, 'own.pth').write_text(''.join(f'{path}\n' for path in own))

    def run(self, *args, **settings):
        """Run its Python, and return what ``subprocess.run`` does."""
        settings = dict(dict(cwd='/'), **settings)
        return subprocess.run([self.python, *args], capture_output=True, text=True, **settings)
