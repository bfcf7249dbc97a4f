import functools

import pytest
import torch
from helpers.stand_in import fill_state_dict
from mmengine.runner import load_checkpoint

from hardnet_mm.checkpoints import convert_official
from hardnet_mm.utils.configs import build_model, read_config


@pytest.fixture(scope='module')
def convert(run_tool):
    return functools.partial(run_tool, 'model_converters/hardnet_to_mm.py')


def test_there_and_back(convert, golden, tmp_path):
    state = fill_state_dict(golden('hardnet39ds_cls')['state_dict'])
    source, converted, back = (tmp_path / name for name in ('a.pth', 'new/b.pth', 'c.pth'))
    torch.save(state, source)

    shown = convert(source, '--dry-run')
    assert 'backbone.stem.0.conv.weight (24, 3, 3, 3)' in shown
    assert not converted.exists()

    convert(source, converted)
    got = torch.load(converted, weights_only=True)['state_dict']
    wanted = convert_official(state)
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[key], wanted[key]) for key in wanted)
    convert(converted, back, '--reverse')
    assert torch.load(back, weights_only=True).keys() == state.keys()

    assert 'is there already' in convert(source, back, fails=True)
    assert torch.load(back, weights_only=True).keys() == state.keys()
    convert(source, back, '--overwrite')
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith('.')] == []


def test_a_whole_detector(convert, golden, root, tmp_path):
    """RFBNet's, whose keys SSD shares in part: the detector loads it, and it comes back."""
    state = fill_state_dict(golden('rfb512_hardnet68_voc')['state_dict'])
    source, converted, back = (tmp_path / name for name in ('a.pth', 'b.pth', 'c.pth'))
    torch.save(state, source)
    convert(source, converted)
    model = build_model(read_config(str(root / 'configs/rfb512_hardnet68_voc0712.py')))
    load_checkpoint(model, str(converted), strict=True)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'trained.pth')
    convert(tmp_path / 'trained.pth', back, '--reverse')
    again = torch.load(back, weights_only=True)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)


def test_refuses(convert, tmp_path):
    torch.save({'fc.weight': torch.zeros(1)}, tmp_path / 'other.pth')
    for arguments, words in (
        ((tmp_path / 'other.pth', tmp_path / 'out.pth'), 'no original checkpoint'),
        ((tmp_path / 'missing.pth', tmp_path / 'out.pth'), 'there is no checkpoint'),
        ((tmp_path / 'other.pth',), 'dst is missing'),
    ):
        assert words in convert(*arguments, fails=True)
    assert not (tmp_path / 'out.pth').exists()
