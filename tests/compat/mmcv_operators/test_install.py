"""The stand-in takes the place of compiled operators that are not there, and of no others."""

import importlib.util
import subprocess
import sys

import pytest
import torch

from hardnet_mm.compat.mmcv_operators import OPERATORS, make_extension

COMPILED = getattr(importlib.util.find_spec('mmcv._ext'), 'origin', None) is not None


def test_other_operators_name_themselves():
    with pytest.raises(NotImplementedError) as raised:
        make_extension().knn_forward(torch.randn(2, 3), nsample=3)
    assert 'knn_forward' in str(raised.value)
    assert 'MMCV_WITH_OPS' in str(raised.value)


@pytest.mark.skipif(not COMPILED, reason='this mmcv was installed without compiled operators')
def test_compiled_operators_are_left_alone():
    import mmcv._ext

    assert mmcv._ext.__file__.endswith('.so') or mmcv._ext.__file__.endswith('.pyd')


@pytest.mark.skipif(not COMPILED, reason='this mmcv was installed without compiled operators')
def test_operators_have_the_names_and_arguments_of_compiled_ones():
    import inspect

    import mmcv._ext

    own = dict(OPERATORS)
    own.pop('line_nms_forward')  # of the continuation
    own.pop('roi_align_rotated_backward')  # mmcv's names of its tensors are those of others
    for name, operator in own.items():
        text = getattr(mmcv._ext, name).__doc__.partition(')')[0]
        wanted = [part.split(':')[0].strip() for part in text.partition('(')[2].split(',') if part]
        assert list(inspect.signature(operator.function).parameters) == wanted, name


@pytest.mark.parametrize('first', ['mmcv', 'hardnet_mm'])
def test_import_order_does_not_matter(first):
    script = (
        f"import sys, {first}, mmcv, hardnet_mm, mmcv.ops\nprint(sys.modules['mmcv._ext'].nms)\n"
    )
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert ('hardnet_mm' in result.stdout or 'function nms' in result.stdout) != COMPILED


SPAWNED = """
import multiprocessing


def count_kept(queue):
    import hardnet_mm
    import torch
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]])
    queue.put(len(nms(boxes, torch.tensor([0.5, 0.6]), 0.5)[1]))


if __name__ == '__main__':
    context = multiprocessing.get_context('spawn')
    queue = context.Queue()
    process = context.Process(target=count_kept, args=(queue,))
    process.start()
    print(queue.get(timeout=300))
    process.join()
"""


@pytest.mark.slow
def test_it_works_in_a_process_that_was_spawned(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(SPAWNED)
    result = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert result.stdout.split() == ['1'], result.stderr


class Boxes(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        from mmcv.ops import nms

        boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]])
        return len(nms(boxes, torch.tensor([0.5, 0.6]), 0.5)[1])


def test_it_works_in_workers_of_a_data_loader():
    loader = torch.utils.data.DataLoader(Boxes(), num_workers=1)
    assert torch.cat(list(loader)).tolist() == [1, 1]
