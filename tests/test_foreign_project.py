"""A project that knows nothing of HarDNet gets it by custom_imports alone."""

import os
import re
import subprocess
import sys

import pytest
import torch


def run(project, *arguments):
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    command = [sys.executable, 'train.py', *map(str, arguments)]
    result = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout + result.stderr


@pytest.fixture
def project(root):
    folder = root / 'tests/foreign_project'
    sources = [path.read_text() for path in (folder / 'shapes').glob('*.py')]
    assert not any('hardnet_mm' in text for text in [*sources, (folder / 'train.py').read_text()])
    return folder


def assert_has_hardnet(checkpoint):
    state = torch.load(checkpoint, map_location='cpu', weights_only=False)['state_dict']
    assert 'backbone.stages.1.block0.layers.0.0.conv.weight' in state


def test_swap_by_custom_imports_alone(project, tmp_path):
    """On a few images, of which nothing can be learned."""
    config = tmp_path / 'short.py'
    config.write_text(
        f'_base_ = {str(project / "hardnet.py")!r}\n'
        'train_cfg = dict(max_epochs=1, val_interval=1)\n'
        'train_dataloader = dict(dataset=dict(length=64))\n'
    )
    assert 'accuracy: ' in run(project, config, tmp_path / 'work')
    assert_has_hardnet(tmp_path / 'work/epoch_1.pth')


@pytest.mark.slow
def test_it_learns_and_its_checkpoint_is_tested(project, tmp_path):
    output = run(project, 'hardnet.py', tmp_path / 'work')
    accuracy = float(re.findall(r'accuracy: ([\d.]+)', output)[-1])
    assert accuracy > 0.8  # by chance it is 0.5
    checkpoint = tmp_path / 'work/epoch_5.pth'
    assert_has_hardnet(checkpoint)

    output = run(project, 'hardnet.py', tmp_path / 'again', checkpoint)
    again = float(re.findall(r"'accuracy': ([\d.]+)", output)[-1])
    assert again == pytest.approx(accuracy, abs=1e-4)  # the log has four digits
