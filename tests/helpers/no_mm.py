"""An environment without some of OpenMMLab's packages, made of this one's others."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

OPENMMLAB = ('mm', 'onedl', 'openmim', '__editable__')
ROOT = Path(__file__).parents[2]


def packages_without(folder, starts):
    """Fill a folder with links to the installed packages whose names do not start so."""
    for path in Path(sysconfig.get_path('purelib')).iterdir():
        if not path.name.lower().startswith(starts) and path.suffix != '.pth':
            (folder / path.name).symlink_to(path)


def packages_without_mm(folder):
    """Fill a folder with links to the installed packages that are not of OpenMMLab."""
    packages_without(folder, OPENMMLAB)


def run_without_mm(folder, script, *arguments):
    """Run Python on a folder's packages alone, and return the finished process."""
    environment = dict(os.environ, PYTHONPATH=f'{ROOT}{os.pathsep}{folder}', OMP_NUM_THREADS='1')
    command = [sys.executable, '-S', '-c', script, *map(str, arguments)]
    # not in the folder itself: there, OpenCV would find its package where it looks for its library
    return subprocess.run(
        command, cwd=folder.parent, env=environment, capture_output=True, text=True, timeout=300
    )
