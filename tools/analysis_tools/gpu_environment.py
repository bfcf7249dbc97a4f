"""Print the environment of a measurement on a GPU: card, driver, versions of packages."""

import importlib.metadata
import os
import platform
import subprocess

import torch

PACKAGES = (
    'torch torchvision triton numpy onedl-mmengine onedl-mmcv onedl-mmdetection '
    'onedl-mmsegmentation onedl-mmpretrain'
).split()


def lines():
    """Yield the lines of a list in Markdown, then the output of the driver's own tool."""
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        yield f'- GPU {card.name}, {card.total_memory / 2**30:.0f} GiB, sm_{card.major}{card.minor}'
        nccl = '.'.join(map(str, torch.cuda.nccl.version()))
        yield f'- CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, NCCL {nccl}'
        yield f'- driver {query("driver_version")}, clock {query("clocks.max.sm")} at most'
    else:
        yield '- no GPU'
    yield f'- Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} CPUs'
    yield '- ' + ', '.join(f'{name} {version(name)}' for name in PACKAGES)


def query(field):
    """Return a field of nvidia-smi for the first GPU, or a dash."""
    command = ['nvidia-smi', f'--query-gpu={field}', '--format=csv,noheader']
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return '-'
    return answer.stdout.partition('\n')[0]


def version(name):
    """Return the version of a package, or a dash."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return '-'


def main():
    print(*lines(), sep='\n', flush=True)
    if torch.cuda.is_available():
        subprocess.run(['nvidia-smi'], check=False)


if __name__ == '__main__':
    main()
