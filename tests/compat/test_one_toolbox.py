"""One toolbox at a time, the others not installed: its systems predict and export."""

import pytest
from helpers.no_mm import packages_without, run_without_mm

SYSTEMS = dict(
    mmdet=('ssd_hardnet', 'rfb_hardnet', 'centernet_hardnet'),
    mmseg=('fchardnet70', 'mseg_hardnet'),
    mmpretrain=('hardnet39ds',),
    none=(),
)
TOOLBOXES = SYSTEMS.keys() - {'none'}
SCRIPT = """
import importlib.util, sys
root, *systems = sys.argv[1:]
import torch
import hardnet_mm
from mmengine.registry import MODELS
from hardnet_mm.deploy import to_deploy
from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.utils.configs import build_model, read_config

for system in systems:
    model = build_model(read_config(f'{root}/configs/digits/{system}_digits.py')).eval()
    with torch.no_grad():
        outputs = build_end_to_end(to_deploy(model), 'network').eval()(torch.rand(2, 3, 128, 128))
    print(system, all(output.isfinite().all() for output in outputs))
backbone = MODELS.build(dict(type='HarDNet', arch='hardnet39ds')).eval()
with torch.no_grad():
    print('backbone', to_deploy(backbone)(torch.rand(1, 3, 64, 64))[0].isfinite().all().item())
for name in ('mmdet', 'mmseg', 'mmpretrain'):
    if importlib.util.find_spec(name):
        print(name, 'is installed')
        continue
    config = dict(mmdet='ssd_hardnet', mmseg='fchardnet70', mmpretrain='hardnet39ds')[name]
    for path in (f'{root}/configs/digits/{config}_digits.py', f'{name}::any.py'):
        try:
            read_config(path)
        except ImportError as error:
            print(path, error)
"""


def starts(toolbox):
    """How the names of a toolbox's folders in site-packages start, in both stacks."""
    return (toolbox, f'onedl_{toolbox}')


@pytest.mark.slow
@pytest.mark.parametrize('toolbox', SYSTEMS)
def test_a_toolbox_alone(root, tmp_path, toolbox):
    others = TOOLBOXES - {toolbox}
    packages_without(tmp_path, tuple(start for other in others for start in starts(other)))
    result = run_without_mm(tmp_path, SCRIPT, root, *SYSTEMS[toolbox])
    assert result.returncode == 0, result.stderr[-3000:]
    for system in (*SYSTEMS[toolbox], 'backbone'):
        assert f'{system} True' in result.stdout
    assert ('is installed' in result.stdout) == (toolbox != 'none')
    for other in others:
        words = f'is a config of {other}, which is not installed'
        assert result.stdout.count(words) == 2, result.stdout
