import json

import pytest

from hardnet_mm.benchmark.measure import peak_memory

CONFIG = 'configs/digits/centernet_hardnet_digits.py'


def test_target_making_is_timed(root, run_tool):
    options = '--batch-size 2 --boxes 3 --size 64 --runs 1'.split()
    output = run_tool('analysis_tools/centernet_targets.py', root / CONFIG, *options)
    assert '2 images of 64 x 64, 3 boxes each' in output
    assert (' MiB' in output) == (peak_memory(int) is not None)


def test_a_benchmark_leaves_table_json_and_plot(root, run_tool, tmp_path):
    configs = [root / f'configs/digits/{name}_digits.py' for name in ('ssd_hardnet', 'fchardnet70')]
    options = '--size 64 64 --runs 2 --warmup 1 --forms eager channels-last'.split()
    command = ('analysis_tools/benchmark.py', *configs, *options, '--out-dir', tmp_path / 'out')
    output = run_tool(*command)
    table = (tmp_path / 'out/table.md').read_text()
    assert table.strip() in output
    assert table.count('| ssd_hardnet_digits |') == table.count('| fchardnet70_digits |') == 2
    results = json.loads((tmp_path / 'out/results.json').read_text())['results']
    assert [len(result['seconds']) for result in results] == [2] * 4
    assert (tmp_path / 'out/latency.png').stat().st_size > 1000
    assert 'is there already' in run_tool(*command, fails=True)


def test_a_benchmark_beside_another_program(run_tool, tmp_path):
    (tmp_path / 'hubconf.py').write_text(
        'import torch\n\n\n'
        'def small(pretrained):\n    return torch.nn.Conv2d(3, 8, 3, bias=False)\n'
    )
    options = '--size 34 34 --runs 1 --warmup 0 --forms deploy'.split()
    output = run_tool('analysis_tools/benchmark.py', '--hub', f'{tmp_path}:small', *options)
    row = next(line for line in output.splitlines() if f'| small of {tmp_path.name} |' in line)
    assert '| eager, float32 | 0.00 M | 0.00 |' in row
    wrong = f'{tmp_path / "none"}:small'
    refused = run_tool('analysis_tools/benchmark.py', '--hub', wrong, fails=True)
    assert '--hub takes FOLDER:NAME with a hubconf.py' in refused


@pytest.mark.slow
def test_training_steps_are_timed(run_tool):
    small = ('--arch', 'hardnet39ds', '--size', 64, '--batch-size', 2, '--turns', 1, '--runs', 1)
    output = run_tool('analysis_tools/train_step.py', *small)
    rows = [line.split('|')[1:-1] for line in output.splitlines() if line.startswith('| ')]
    assert [row[0].strip() for row in rows[1:3]] == ['plain', 'channels-last']
    assert len(rows) == 5 and all(float(row[1]) > 0 for row in rows[1:])
