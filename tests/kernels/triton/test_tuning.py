import json

import pytest
import torch
from torch import nn


@pytest.fixture
def conv(device):
    from hardnet_mm.kernels.triton.linked_conv import LinkedConv

    weight = torch.zeros(40, 78, 3, 3, device=device)
    return LinkedConv(weight, None, nn.ReLU(), [(64, 14), (0, 64)], slot=32)


@pytest.fixture
def maps(device):
    from hardnet_mm.kernels.triton.padded_maps import PaddedMaps

    return PaddedMaps((1, 30, 30), 1, 160, torch.empty(0, device=device))


def memory_of(blocks):
    """Return the bytes of the steps that are loaded ahead."""
    channels = blocks.rows + blocks.taps * (blocks.out + blocks.out2)
    return channels * blocks.inner * 2 * blocks.stages


@pytest.mark.parametrize('rows', [1, 900, 15_000, 70_000, 900_000])
@pytest.mark.parametrize('there', [220_000, 99_328])  # of a Hopper, and of an Ada
def test_candidates_fit_a_multiprocessor(conv, rows, there, monkeypatch):
    from hardnet_mm.kernels.triton import tuning

    monkeypatch.setattr(tuning, 'shared_memory', lambda: there)
    found = tuning.candidates(conv, rows)
    assert found and len(set(found)) == len(found)
    for blocks in found:
        assert memory_of(blocks) <= there
        assert blocks.inner <= conv.reach
        assert blocks.splits <= conv.windows(blocks.inner) * 9 // blocks.taps
    # those of lines are used where they were measured to be faster, not by a guess
    assert found[0].taps == 1 and found[-1].taps == 3
    # the sums fit into the registers, of which a thread has 255
    for blocks in found:
        sums = blocks.taps * blocks.rows * (blocks.out + blocks.out2)
        assert sums <= 160 * 32 * blocks.warps


def test_a_measured_choice_is_kept_by_kind_and_size(conv, maps, monkeypatch):
    from hardnet_mm.kernels.triton import tuning

    monkeypatch.setattr(tuning, '_chosen', {})
    guess = tuning.blocks_for(conv, maps, None, True)
    assert guess == tuning.candidates(conv, maps.rows)[0]
    with tuning.noted() as noted:
        tuning.blocks_for(conv, maps, None, True)
    (key,) = noted
    assert key == (3, 1, (14, 64), 64, True, maps.rows.bit_length())
    other = guess._replace(stages=guess.stages + 1)
    tuning.choose({key: other})
    assert tuning.blocks_for(conv, maps, None, True) == other
    assert tuning.blocks_for(conv, maps, None, False) != other  # of another kind


def test_a_table_serves_the_nearest_size(conv, maps, monkeypatch):
    from hardnet_mm.kernels.triton import tuning

    few, many = tuning.candidates(conv, 900)[0], tuning.candidates(conv, 900_000)[0]
    table = {tuning.kind_of(conv, True): {9: few, 20: many}}
    monkeypatch.setattr(tuning, '_chosen', {})
    monkeypatch.setattr(tuning, 'table', lambda: table)
    assert tuning.blocks_for(conv, maps, None, True) == few != many


def test_tables_that_come_with_the_package():
    pytest.importorskip('triton.tools.tensor_descriptor')
    from hardnet_mm.kernels.triton import tables, tuning
    from hardnet_mm.kernels.triton.linked_conv import Blocks

    paths = list(tables.TABLES.glob('sm*.json'))
    assert paths
    for path in paths:
        written = json.loads(path.read_text())
        assert set(written['measured']) == {'GPU', 'PyTorch', 'Triton'}
        assert written.keys() - {'dependent_launches'} == {'measured', 'blocks'}
        kinds = [tuple(map(str, entry[:6])) for entry in written['blocks']]
        assert len(set(kinds)) == len(kinds) > 100
        for entry in written['blocks']:
            blocks = Blocks(*entry[6])
            assert memory_of(blocks) <= tuning.SHARED_MEMORY
