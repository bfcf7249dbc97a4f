import subprocess
import sys

import pytest
import torch
from stand_in import fill_state_dict

from hardnet_mm.checkpoints import convert_official


@pytest.fixture(scope='module')
def convert(root):
    def convert(*arguments):
        command = [sys.executable, root / 'tools/model_converters/hardnet_to_mm.py', *arguments]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True)

    return convert


def test_there_and_back(convert, golden, tmp_path):
    state = fill_state_dict(golden('hardnet39ds_cls')['state_dict'])
    source, converted, back = (tmp_path / name for name in ('a.pth', 'new/b.pth', 'c.pth'))
    torch.save(state, source)

    shown = convert(source, '--dry-run')
    assert 'backbone.stem.0.conv.weight (24, 3, 3, 3)' in shown.stdout
    assert not converted.exists()

    assert convert(source, converted).returncode == 0
    got = torch.load(converted, weights_only=True)['state_dict']
    wanted = convert_official(state)
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[key], wanted[key]) for key in wanted)
    assert convert(converted, back, '--reverse').returncode == 0
    assert torch.load(back, weights_only=True).keys() == state.keys()

    refused = convert(source, back)
    assert refused.returncode == 2 and 'is there already' in refused.stderr
    assert torch.load(back, weights_only=True).keys() == state.keys()
    assert convert(source, back, '--overwrite').returncode == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith('.')] == []


def test_refuses(convert, tmp_path):
    torch.save({'fc.weight': torch.zeros(1)}, tmp_path / 'other.pth')
    for arguments, words in (
        ((tmp_path / 'other.pth', tmp_path / 'out.pth'), 'no original checkpoint'),
        ((tmp_path / 'missing.pth', tmp_path / 'out.pth'), 'there is no checkpoint'),
        ((tmp_path / 'other.pth',), 'dst is missing'),
    ):
        refused = convert(*arguments)
        assert refused.returncode != 0 and words in refused.stderr
    assert not (tmp_path / 'out.pth').exists()
