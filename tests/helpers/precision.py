"""Whether a computation is as exact as the plain one: a float64 reference tells, on any CPU."""

import torch


def assert_as_exact(found, plain, exact, times=16):
    """Compare the error of a result with that of the plain computation.

    Args:
        found (Tensor): The result under test.
        plain (Tensor): The same by plain operations in the same dtype.
        exact (Tensor): The same in float64.
        times (float): How many times as large the error may be; orders of summation and Winograd's
            transforms are allowed for, a wrong value is not. Defaults to 16.
    """
    assert found.shape == exact.shape
    scale = exact.abs().max().item()
    rounding = scale * torch.finfo(found.dtype).eps  # an error that nobody can avoid
    allowed = times * max(error(plain, exact), rounding)
    assert error(found, exact) <= allowed, f'{error(found, exact):.3g}, allowed {allowed:.3g}'


def error(found, exact):
    """Return the largest difference from a float64 tensor."""
    return (found.double() - exact).abs().max().item()
