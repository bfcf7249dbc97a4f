import json

import pytest
import torch


@pytest.fixture
def launches(device, monkeypatch):
    """The module, which asks a Hopper's table anew."""
    from hardnet_mm.kernels.triton import launches

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda *_: (9, 0))
    launches._by_table.cache_clear()
    yield launches
    launches._by_table.cache_clear()


@pytest.mark.parametrize('written', [{}, dict(dependent_launches=True)])
def test_the_table_chooses(launches, written, tmp_path, monkeypatch):
    from hardnet_mm.kernels.triton import tables

    (tmp_path / 'sm90.json').write_text(json.dumps(written))
    monkeypatch.setattr(tables, 'TABLES', tmp_path)
    tables.read.cache_clear()
    try:
        assert launches.are_dependent() == bool(written)
        wanted = dict(DEPENDENT=True, launch_pdl=True) if written else dict(DEPENDENT=False)
        assert launches.options() == wanted
        with launches.made(not written):
            assert launches.are_dependent() != bool(written)
        assert launches.are_dependent() == bool(written)
    finally:
        tables.read.cache_clear()


def test_no_dependent_launch_before_hopper(launches, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda *_: (8, 9))
    monkeypatch.setattr(launches.tables, 'read', lambda: dict(dependent_launches=True))
    assert launches.options() == dict(DEPENDENT=False)
