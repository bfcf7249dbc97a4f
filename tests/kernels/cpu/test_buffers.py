import copy
import threading

import pytest
import torch

from hardnet_mm import HarDNet
from hardnet_mm.benchmark.measure import peak_memory
from hardnet_mm.deploy import to_deploy
from hardnet_mm.kernels.cpu.buffers import MemoryPool


def test_memory_is_used_again():
    pool = MemoryPool()
    first = pool.empty((2, 3), torch.float32)
    address = first.data_ptr()
    second = pool.empty((2, 3), torch.float32)
    assert second.data_ptr() != address and address % 64 == 0
    part = first[1]
    del first
    assert pool.empty((1,), torch.float32).data_ptr() != address
    del part
    assert pool.empty((1, 6), torch.float32).data_ptr() == address


def test_a_free_buffer_that_is_too_small_is_replaced():
    pool = MemoryPool()

    def use_more_and_more():
        for mebibytes in (40, 50, 60):
            pool.empty((mebibytes, 2**20), torch.uint8).fill_(1)

    grown = peak_memory(use_more_and_more)
    if grown is None:
        pytest.skip('no /proc')
    assert 55 * 2**20 < grown < 130 * 2**20  # all three would be 150


def test_threads_and_copies_share_nothing():
    deployed = to_deploy(HarDNet('hardnet39ds', out_indices=(3,)))
    images = torch.rand(4, 1, 3, 96, 96)
    wanted = [deployed(image)[0].clone() for image in images]
    found = {}

    def work(number, model):
        for _ in range(5):
            found[number] = model(images[number])[0]

    other = copy.deepcopy(deployed)
    models = [deployed, deployed, other, other]
    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(models)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, output in enumerate(wanted):
        assert torch.equal(found[number], output)
    assert other.stages[0].block0.pool is not deployed.stages[0].block0.pool
