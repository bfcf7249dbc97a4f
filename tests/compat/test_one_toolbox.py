"""One toolbox at a time, the others as if not installed: its systems predict and export."""

import os
import subprocess
import sys

import pytest

SYSTEMS = dict(
    mmdet=('ssd_hardnet', 'rfb_hardnet', 'centernet_hardnet'),
    mmseg=('fchardnet70', 'mseg_hardnet'),
    mmpretrain=('hardnet39ds',),
)
SCRIPT = """
import sys
toolbox, *systems = sys.argv[1:]
for name in {'mmdet', 'mmseg', 'mmpretrain'} - {toolbox}:
    sys.modules[name] = None  # importing it fails, as where it is not installed
import torch
import hardnet_mm
from hardnet_mm.deploy import to_deploy
from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.utils.configs import build_model, read_config
for system in systems:
    model = build_model(read_config(f'configs/digits/{system}_digits.py')).eval()
    with torch.no_grad():
        outputs = build_end_to_end(to_deploy(model), 'network').eval()(torch.rand(2, 3, 128, 128))
    print(system, all(output.isfinite().all() for output in outputs))
for name in {'mmdet', 'mmseg', 'mmpretrain'} - {toolbox}:
    config = dict(mmdet='ssd_hardnet', mmseg='fchardnet70', mmpretrain='hardnet39ds')[name]
    try:
        read_config(f'configs/digits/{config}_digits.py')
    except ImportError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize('toolbox', SYSTEMS)
def test_a_toolbox_alone(root, toolbox):
    command = [sys.executable, '-c', SCRIPT, toolbox, *SYSTEMS[toolbox]]
    environment = dict(os.environ, PYTHONPATH=str(root))
    result = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr[-3000:]
    for system in SYSTEMS[toolbox]:
        assert f'{system} True' in result.stdout
    for other in SYSTEMS.keys() - {toolbox}:
        assert f'{other}, which is not installed' in result.stdout, result.stdout
