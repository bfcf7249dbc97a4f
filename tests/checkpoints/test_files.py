"""What a user may get wrong: each is told at once, or handled as mmdet handles it."""

import pytest
import torch

from hardnet_mm import HarDNet
from hardnet_mm.checkpoints.files import check_checkpoint, load_weights
from hardnet_mm.utils.errors import InputError


def test_a_cut_off_checkpoint(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=HarDNet('hardnet39ds', out_indices=(0,)).state_dict()), path)
    check_checkpoint(str(path))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match='weights.pth is cut off'):
        check_checkpoint(str(path))


def test_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint .*missing.pth'):
        check_checkpoint(str(tmp_path / 'missing.pth'))
    page = tmp_path / 'page.pth'
    page.write_text('<html>not found</html>')
    with pytest.raises(ValueError, match='page.pth is a web page, no checkpoint'):
        check_checkpoint(str(page))


def test_a_checkpoint_of_a_gpu(tmp_path, monkeypatch):
    """Saved there as it is, without mmengine, which moves tensors to the CPU."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, 'location_tag', lambda _: 'cuda:7')
        torch.save(dict(weight=torch.ones(3)), tmp_path / 'model.pth')
    path = str(tmp_path / 'model.pth')
    assert load_weights(path)['weight'].tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="not here: read it with map_location='cpu'"):
        load_weights(path, None)
