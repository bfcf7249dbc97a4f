"""golden.py on a program of the same form as an original; docs/golden.md has the originals'."""

import json
import subprocess
import sys

import pytest
import torch
from helpers.stand_in import fill_state_dict, golden_input, sample

TOOL = 'analysis_tools/golden.py'
PROGRAM = """
import torch
from torch import nn

print('imported')


class ConvLayer(nn.Sequential):
    def __init__(self, channels_in, channels):
        super().__init__(nn.Conv2d(channels_in, channels, 3, stride=2, bias=False))


class HarDNet(nn.Module):
    def __init__(self, arch, pretrained, depth_wise=False):
        super().__init__()
        pool = nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.base = nn.ModuleList([ConvLayer(3, 8), nn.MaxPool2d(2), ConvLayer(8, 4), pool])

    def forward(self, x):
        for layer in self.base:
            x = layer(x)
        return x
"""


def git(folder, *arguments):
    settings = ('-c', 'user.name=test', '-c', 'user.email=test@example.com')
    command = ['git', *settings, '-C', str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp('originals') / 'Pytorch-HarDNet'
    folder.mkdir()
    (folder / 'hardnet.py').write_text(PROGRAM)
    git(folder, 'init', '--quiet')
    git(folder, 'add', '.')
    git(folder, 'commit', '--quiet', '--message', 'program')
    return folder


@pytest.fixture(scope='module')
def made(clone, run_tool, tmp_path_factory):
    path = tmp_path_factory.mktemp('made') / 'golden.json'
    output = run_tool(TOOL, clone, 'hardnet68_cls', '--out', path)
    assert f'{path}: PingoLH/Pytorch-HarDNet at {git(clone, "rev-parse", "HEAD")}' in output
    return path


def test_a_file_holds_what_the_program_computes(clone, made):
    content = json.loads(made.read_text())
    assert content['original'] == dict(
        repository='PingoLH/Pytorch-HarDNet', commit=git(clone, 'rev-parse', 'HEAD')
    )
    shapes = [['base.0.0.weight', [8, 3, 3, 3]], ['base.2.0.weight', [4, 8, 3, 3]]]
    assert content['state_dict'] == shapes
    assert content['parameters'] == 8 * 27 + 4 * 72
    assert content['input'] == [224, 224]

    state = fill_state_dict(shapes)
    first = torch.conv2d(golden_input(224, 224), state['base.0.0.weight'], stride=2)
    second = torch.conv2d(torch.max_pool2d(first, 2), state['base.2.0.weight'], stride=2)
    wanted = {'base.0': first, 'base.2': second, 'logits': second.relu().mean(dim=(2, 3))}
    assert list(content['outputs']) == list(wanted)
    for name, output in wanted.items():
        values = torch.tensor(content['outputs'][name]['values'])
        torch.testing.assert_close(values, torch.tensor(sample(output)['values']))


def test_a_file_is_compared(clone, made, run_tool, tmp_path):
    command = (TOOL, clone, 'hardnet68_cls', '--compare')
    lines = run_tool(*command, made).splitlines()
    found = dict(line.split() for line in lines if line.startswith(('base', 'logits')))
    assert list(found) == ['base.0', 'base.2', 'logits']
    assert all(float(difference) < 1e-6 for difference in found.values())
    lines = run_tool(*command, made, '--float64').splitlines()
    rounding = [float(line.split()[1]) for line in lines if line.startswith(('base', 'logits'))]
    assert len(rounding) == 3 and all(0 < difference < 1e-5 for difference in rounding)

    other = tmp_path / 'other.json'
    content = json.loads(made.read_text())
    content['outputs']['base.2']['values'][17] += 0.5
    other.write_text(json.dumps(content))
    assert 'other.json differs by more than 0.0001' in run_tool(*command, other, fails=True)

    content['parameters'] += 1
    other.write_text(json.dumps(content))
    assert 'parameters   inf' in run_tool(*command, other, fails=True)


def test_a_clone_that_was_changed_is_refused(clone, run_tool, tmp_path):
    changed = tmp_path / 'changed'
    subprocess.run(['git', 'clone', '--quiet', str(clone), str(changed)], check=True)
    (changed / 'hardnet.py').write_text(PROGRAM + '\nraise SystemExit("executed")\n')
    out = tmp_path / 'golden.json'
    output = run_tool(TOOL, changed, 'hardnet68_cls', '--out', out, fails=True)
    assert 'is not as its commit' in output and 'executed' not in output
    assert not out.exists()


def test_a_file_is_not_written_in_float64(clone, run_tool, tmp_path):
    out = tmp_path / 'golden.json'
    command = (TOOL, clone, 'hardnet68_cls', '--out', out, '--float64')
    assert '--float64 is for --compare' in run_tool(*command, fails=True)
    assert not out.exists()


def test_what_is_no_clone_is_refused(clone, made, run_tool, tmp_path):
    (tmp_path / 'hardnet.py').write_text(PROGRAM)
    out = tmp_path / 'golden.json'
    output = run_tool(TOOL, tmp_path, 'hardnet68_cls', '--out', out, fails=True)
    assert 'is no clone with a commit' in output and 'imported' not in output
    output = run_tool(TOOL, clone, 'ssd512_hardnet68', '--out', out, fails=True)
    assert 'there is no clone of https://github.com/lzx1413/PytorchSSD' in output
    output = run_tool(TOOL, clone, 'hardnet68_cls', '--out', made, fails=True)
    assert 'is there already' in output


# PaddleSeg's program needs Paddle, HarDNet-MSEG's loads a file of an absolute path, and
# HarDNet-DFUS's needs timm.
OTHERS = {'hardnet_dfus', 'hardnet_mseg', 'paddleseg_fchardnet70', 'polyp_losses'}


def test_every_golden_file_has_its_original(root, monkeypatch):
    monkeypatch.setattr(sys, 'path', [*sys.path, str(root / 'tools/analysis_tools')])
    import golden

    files = {path.stem: json.loads(path.read_text()) for path in (root / 'tests/data').glob('*')}
    assert set(golden.ORIGINALS) == set(files) - OTHERS
    for name, original in golden.ORIGINALS.items():
        content = files[name]
        assert content['note'] == original.note
        assert content['input'] == list(original.size)
