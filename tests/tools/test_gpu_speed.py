"""What tools/analysis_tools/gpu_speed.py does without a GPU: the table that it writes."""

import importlib.util
import json

import pytest
import torch

pytest.importorskip('triton.tools.tensor_descriptor', reason='no Triton of 2025 or later')


@pytest.fixture
def tool(root):
    path = root / 'tools/analysis_tools/gpu_speed.py'
    spec = importlib.util.spec_from_file_location('gpu_speed', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def report(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, 'machine', lambda: dict(GPU='one', PyTorch='2.11', Triton='3.6'))
    return tool.Report(tmp_path / 'speed')


def test_what_was_tuned_is_a_table_of_the_package(tool, report, monkeypatch):
    from hardnet_mm.kernels.triton import tables, tuning

    blocks = tool.Blocks(128, 64, 0, 64, 1, 8, 4, True, 3)
    tool.write_blocks(report, {(3, 1, (14, 64), 64, True, 12): blocks}, dependent=True)
    written = json.loads((report.folder / 'blocks.json').read_text())
    assert written['dependent_launches'] is True and written['measured']['GPU'] == 'one'
    monkeypatch.setattr(tables, 'read', lambda: written)
    tuning.table.cache_clear()
    assert tuning.table() == {(3, 1, (14, 64), 64, True): {12: blocks}}
    tuning.table.cache_clear()


@pytest.mark.parametrize('second, faster', [(1.9, True), (2.5, False)])
def test_the_faster_launches_are_chosen(tool, report, second, faster):
    """For the networks together, in shares of their times."""
    for network, times in dict(one=(1.0, 0.9), other=(2.0, second)).items():
        for form, ms in zip(('to_deploy', tool.DEPENDENT), times):
            report.add('networks', network=network, form=form, ms=ms)
    report.add('networks', network='ResNet', form='to_deploy', ms=1.0)
    assert tool.dependent_launches_are_faster(report) == faster


def test_the_convolutions_of_a_network_are_noted_and_not_computed(tool, monkeypatch):
    from hardnet_mm import HarDNet
    from hardnet_mm.deploy import fused_block, fused_stage

    for module in (fused_block, fused_stage):
        monkeypatch.setattr(module, 'can_link', lambda x, dtype=None: True)
        monkeypatch.setattr(module, 'by_kernels', lambda layer, *args: layer.linked_forward(*args))
    rand = torch.rand
    monkeypatch.setattr(torch, 'rand', lambda *shape, device: rand(*shape))
    monkeypatch.setitem(tool.NETWORKS, 'HarDNet68', (None, 1, 64, 64))
    subject = tool.Subject(HarDNet('hardnet68', out_indices=(0,)))
    noted = tool.linked_convolutions({'HarDNet68': subject})
    assert {key[0] for key in noted} == {1, 3}  # sizes of kernels
    variants = {tool.variant(each, tool.tuning.blocks_for(*each)) for each in noted.values()}
    assert json.loads(json.dumps(sorted(variants)))
    assert all(maps.buffer.any() for _, maps, *_ in noted.values())
