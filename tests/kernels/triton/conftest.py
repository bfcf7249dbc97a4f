import pytest
import torch


@pytest.fixture(scope='session')
def device():
    """Where the kernels compute: compiled on a GPU, and interpreted on a CPU."""
    pytest.importorskip('triton.tools.tensor_descriptor', reason='no Triton of 2025 or later')
    return 'cuda' if torch.cuda.is_available() else 'cpu'
