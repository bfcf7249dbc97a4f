import subprocess
import sys
from collections import OrderedDict
from pickle import UnpicklingError

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import MessageHub

from hardnet_mm import compat
from hardnet_mm.checkpoints.safe_types import checkpoint_types

needs_allow_list = pytest.mark.skipif(
    not hasattr(torch.serialization, 'safe_globals'), reason='torch before 2.6 has no allow-list'
)


def load_safely(path):
    """What torch.load does after the import, where mmengine has no allow-list of its own."""
    with torch.serialization.safe_globals(checkpoint_types()):
        return torch.load(path, weights_only=True)


@needs_allow_list
def test_own_checkpoints_load_with_the_safety_on(tmp_path):
    """What a runner saves beside the weights: its message hub, with the history of each scalar."""
    hub = MessageHub('test')
    hub.update_scalar('train/loss', 1.5)
    hub.update_scalar('train/accuracy', np.float32(0.5))
    hub.update_scalar('train/count', torch.tensor(3.0))
    hub.update_info('iter', 7)
    torch.save(dict(message_hub=hub.state_dict(), state_dict=OrderedDict()), tmp_path / 'a.pth')
    loaded = load_safely(tmp_path / 'a.pth')
    assert loaded['message_hub']['log_scalars']['train/loss'].mean() == 1.5


class Command:
    def __reduce__(self):
        return (subprocess.run, (['false'],))


class Attribute:
    def __reduce__(self):
        return (getattr, (np.ndarray, 'tofile'))


@needs_allow_list
@pytest.mark.parametrize('content', [Command(), Attribute()])
def test_the_safety_stays_on(tmp_path, content):
    torch.save(dict(state_dict=content), tmp_path / 'b.pth')
    with pytest.raises(UnpicklingError):
        load_safely(tmp_path / 'b.pth')


def test_applying_twice_changes_nothing():
    before = sys.modules.get('mmcv._ext'), dict(MODULE2PACKAGE)
    compat.apply()
    assert (sys.modules.get('mmcv._ext'), MODULE2PACKAGE) == before


def test_imports_without_toolboxes():
    """The package itself needs torch, mmengine and mmcv only."""
    script = (
        'import sys\n'
        "for name in ('mmdet', 'mmseg', 'mmpretrain', 'torchvision', 'mmcv._ext'):\n"
        '    sys.modules[name] = None\n'
        'import torch, hardnet_mm\n'
        "hardnet_mm.HarDNet('hardnet39ds', out_indices=(0,))(torch.zeros(2, 3, 32, 32))\n"
    )
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_mmseg_configs_are_found_on_either_stack(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'mmseg::_base_/schedules/schedule_80k.py'\n")
    assert Config.fromfile(tmp_path / 'mine.py').train_cfg.max_iters == 80000


def test_a_base_costs_no_metafile(tmp_path, monkeypatch):
    """mmengine's own way reads all of the toolbox's, for a path that none of them has."""
    base = 'mmdet::_base_/datasets/coco_detection.py'
    (tmp_path / 'mine.py').write_text(f'_base_ = {base!r}\n')
    read = Config.fromfile(tmp_path / 'mine.py').to_dict()
    monkeypatch.setattr('mmengine.config.utils.load', None)
    assert Config.fromfile(tmp_path / 'mine.py').to_dict() == read
    (tmp_path / 'other.py').write_text("_base_ = 'mmdet::_base_/missing.py'\n")
    with pytest.raises(TypeError):  # what is not there takes mmengine's own way
        Config.fromfile(tmp_path / 'other.py')
