import functools
import logging

import pytest
import torch
from helpers.systems import build


@pytest.fixture(scope='session')
def device(request):
    """Where the tests run: --device."""
    name = request.config.getoption('--device')
    if name == 'cuda' and not torch.cuda.is_available():
        pytest.skip('needs a GPU (--device cpu tries the test itself)')
    return torch.device(name, 0) if name == 'cuda' else torch.device(name)


@pytest.fixture(scope='session')
def system(request):
    """:func:`helpers.systems.build`, of the models that were asked for."""
    return functools.partial(build, published=request.config.getoption('--published'))


@pytest.fixture
def on_cuda(device):
    """Skip what no CPU can do."""
    if device.type != 'cuda':
        pytest.skip('needs a GPU')


@pytest.fixture(autouse=True)
def plain_arithmetic():
    """No TF32, the same random numbers, and no log of every weight's initialization."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
