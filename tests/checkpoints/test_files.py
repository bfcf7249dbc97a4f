"""What a user may get wrong: each is told at once, or handled as mmdet handles it."""

import pytest
import torch

from hardnet_mm import HarDNet
from hardnet_mm.checkpoints.files import check_checkpoint


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
