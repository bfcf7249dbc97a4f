import numpy as np
import pytest
import torch

from hardnet_mm.seg import LaplacianBoundaryLoss


@pytest.fixture(scope='module')
def masks():
    """A hard and a soft one, as of the golden losses."""
    y, x = np.mgrid[:64, :96]
    hard = (np.hypot(y - 30, x - 40) < 15).astype(np.float32)
    soft = np.clip(0.5 - (np.hypot(y - 20, x - 60) - 12) / 8, 0, 1).astype(np.float32)
    return torch.from_numpy(np.stack([hard, soft])[:, None])


def test_is_that_of_the_program(masks, golden):
    channels = np.random.default_rng(1).standard_normal((2, 3, 64, 96)).astype(np.float32)
    loss = LaplacianBoundaryLoss()(torch.from_numpy(channels), masks).item()
    assert loss == pytest.approx(golden('polyp_losses')['dfus_boundary_loss'], rel=1e-6)


@pytest.mark.parametrize('dtype', [torch.int64, torch.float32, torch.uint8])
def test_the_boundary_is_within_the_foreground(dtype):
    """A square's outermost pixels, and what lies on the image's border."""
    mask = torch.zeros(1, 1, 9, 9, dtype=dtype)
    mask[..., 2:7, :5] = 1
    wanted = torch.full((9, 9), -50.0)
    wanted[2:7, :5] = 50
    wanted[3:6, 1:4] = -50
    loss, least = LaplacianBoundaryLoss(), 0.0
    for logits in (wanted, -wanted):
        losses = loss(logits.expand(1, 2, 9, 9), mask)
        assert losses > least
        least = losses
    right = torch.tensor([0.0, 1.0])  # the logistic function twice
    on, off = -right[1].sigmoid().log(), -(1 - right[0].sigmoid()).log()
    share = (wanted > 0).float().mean()
    found = loss(wanted.expand(1, 2, 9, 9), mask)
    torch.testing.assert_close(found, share * on + (1 - share) * off)


def test_gradient_weight_and_half_precision(masks):
    pred = torch.randn(2, 4, 64, 96, requires_grad=True)
    one, two = (LaplacianBoundaryLoss(weight)(pred, masks) for weight in (1.0, 2.0))
    torch.testing.assert_close(2 * one, two)
    assert torch.autograd.grad(one, pred)[0].abs().sum() > 0
    half = LaplacianBoundaryLoss()(pred.half(), masks)
    torch.testing.assert_close(half, one, rtol=1e-3, atol=1e-3)
