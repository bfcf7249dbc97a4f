import copy
import threading
import tracemalloc

import torch

from hardnet_mm import HarDNet
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
    tracemalloc.start()
    try:
        for mebibytes in (4, 5, 6):
            pool.empty((mebibytes, 2**20), torch.uint8)
        stored, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 6 * 2**20 <= stored < 7 * 2**20  # all three would be 15


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
