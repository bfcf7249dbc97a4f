import numpy as np
import pytest
import torch
from torch.nn import functional

from hardnet_mm.seg import StructureLoss


@pytest.fixture(scope='module')
def maps():
    """The logits and the masks, a hard and a soft one, that the golden losses are of."""
    pred = np.random.default_rng(0).standard_normal((2, 1, 64, 96)).astype(np.float32) * 2
    y, x = np.mgrid[:64, :96]
    hard = (np.hypot(y - 30, x - 40) < 15).astype(np.float32)
    soft = np.clip(0.5 - (np.hypot(y - 20, x - 60) - 12) / 8, 0, 1).astype(np.float32)
    return torch.from_numpy(pred), torch.from_numpy(np.stack([hard, soft]))


def test_is_that_of_the_programs(maps, golden):
    """HarDNet-MSEG's, whose cross entropy is not weighted, and HarDNet-DFUS's."""
    expected = golden('polyp_losses')
    assert StructureLoss()(*maps).item() == pytest.approx(expected['mseg_structure_loss'], rel=1e-6)
    weighted = StructureLoss(weighted_cross_entropy=True)(*maps).item()
    assert weighted == pytest.approx(expected['dfus_loss'], rel=1e-6)
    assert abs(weighted - expected['mseg_structure_loss']) > 1e-3


def test_terms_are_those_of_the_program(maps, golden):
    """A batch's cross entropy and IoU loss, 1.072539 and 0.827897."""
    expected = golden('polyp_losses')
    plain = functional.binary_cross_entropy_with_logits(maps[0][:, 0], maps[1]).item()
    assert plain == pytest.approx(expected['plain_bce'], rel=1e-6)
    iou = np.mean(expected['dfus_wiou'])
    assert StructureLoss()(*maps).item() == pytest.approx(plain + iou, rel=1e-6)
    pairs = zip(expected['dfus_wbce'], expected['dfus_wiou'])
    for i, (cross_entropy, iou) in enumerate(pairs):  # image by image
        loss = StructureLoss(weighted_cross_entropy=True)(maps[0][i : i + 1], maps[1][i : i + 1])
        assert loss.item() == pytest.approx(cross_entropy + iou, rel=1e-6)


@pytest.mark.parametrize('value, wanted', [(0, 0), (1, 0)])
def test_right_predictions_cost_nothing(value, wanted):
    """Of an empty mask, too; and what is all wrong costs much."""
    mask = torch.full((1, 40, 40), value)
    right = torch.full((1, 1, 40, 40), 30.0 if value else -30.0)
    for weighted in (False, True):
        loss = StructureLoss(weighted)
        assert loss(right, mask).item() == pytest.approx(wanted, abs=1e-5)
        assert loss(-right, mask).item() > 30


def test_half_precision_has_no_overflow(maps):
    large = [x.repeat(1, *[1] * (x.dim() - 3), 16, 16) for x in maps]
    assert large[1].sum() > torch.finfo(torch.float16).max / 16
    loss = StructureLoss()(large[0].half(), large[1]).item()
    assert loss == pytest.approx(StructureLoss()(*large).item(), rel=1e-3)


def test_gradient_is_finite_and_scaled(maps):
    pred = maps[0].clone().requires_grad_()
    gradients = [
        torch.autograd.grad(StructureLoss(loss_weight=weight)(pred, maps[1]), pred)[0]
        for weight in (1.0, 2.0)
    ]
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(2 * gradients[0], gradients[1])


def test_refuses_what_is_not_one_channel(maps):
    with pytest.raises(ValueError, match='one logit for each pixel.*out_channels=1'):
        StructureLoss()(maps[0].repeat(1, 2, 1, 1), maps[1])
    with pytest.raises(ValueError, match='sampler'):
        StructureLoss()(*maps, weight=maps[1])
