"""What an operator cannot work on is an error that says so, and never ends the interpreter."""

import pytest
import torch
from mmcv import ops

from hardnet_mm.compat.mmcv_operators import OPERATORS
from hardnet_mm.compat.mmcv_operators.operator import say_once

pytestmark = pytest.mark.usefixtures('use_own')
FEATURES = torch.zeros(2, 4, 5, 6)
OFFSETS = torch.zeros(2, 18, 5, 6)
WEIGHTS = torch.zeros(3, 4, 3, 3)


@pytest.mark.parametrize(
    'message, call',
    [
        ('index of its image, 0 to 1, got 2', lambda: ops.roi_align(FEATURES, roi(2), 2)),
        ('index of its image', lambda: ops.roi_pool(FEATURES, roi(-1), 2)),
        ('index of its image', lambda: ops.roi_align(FEATURES, roi(float('nan')), 2)),
        ('index of its image', lambda: ops.deform_roi_pool(FEATURES, roi(9), None, 2)),
        ('more than 2147483647 pixels', lambda: ops.roi_align(FEATURES, roi(0, 1e9), 2)),
        ('rois must be floating-point', lambda: ops.roi_align(FEATURES, roi(0).long(), 2)),
        ('input must have the shape', lambda: ops.roi_align(FEATURES[None], roi(0), 2)),
        ('bboxes1 must have the shape', lambda: overlaps(torch.zeros(2, 5))),
        ('input is on meta|one device', lambda: ops.roi_align(FEATURES, roi(0).to('meta'), 2)),
        ('offset must have the shape', lambda: deform(OFFSETS[:, :4])),
        ('offset must have the shape', lambda: deform(OFFSETS[:, :, :2])),
        ('groups must be at least 1', lambda: deform(OFFSETS, stride=0)),
        ('input must have 4 channels', lambda: deform(OFFSETS, inputs=FEATURES[:, :2])),
        ('offset must have the shape', lambda: deform(OFFSETS[:1])),
        ('smaller than kernel', lambda: deform(OFFSETS, dilation=9)),
        ('targets must be 0 to 2', lambda: focal(torch.tensor([3]))),
        ('value.shape.1. = 12', lambda: attend([[3, 4]])),
        ('masks must have the shape', lambda: psa(FEATURES)),
        ('scores must have the shape', lambda: nms(torch.zeros(3, 4), torch.zeros(2))),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(message, call):
    with pytest.raises((RuntimeError, ValueError), match=message):
        call()


def roi(image, size=4.0):
    return torch.tensor([[image, 0, 0, size, size]], dtype=torch.float32)


def overlaps(boxes):
    OPERATORS['bbox_overlaps'].function(boxes, boxes, torch.zeros(2, 2), 0, False, 0)


def deform(offsets, stride=1, dilation=1, inputs=FEATURES):
    names = ('kW', 'kH', 'dW', 'dH', 'padW', 'padH', 'dilationW', 'dilationH')
    numbers = dict(zip(names, (3, 3, stride, stride, 1, 1, dilation, dilation)))
    OPERATORS['deform_conv_forward'].function(
        inputs, WEIGHTS, offsets, torch.zeros(2, 3, 5, 6), *torch.zeros(2, 0), **numbers,
        group=1, deformable_group=1, im2col_step=2,
    )  # fmt: skip


def focal(target):
    ops.sigmoid_focal_loss(torch.zeros(1, 3), target, 2.0, 0.25, torch.ones(3))


def attend(sizes):
    OPERATORS['ms_deform_attn_forward'].function(
        torch.zeros(1, 11, 1, 2),
        torch.tensor(sizes),
        torch.tensor([0]),
        torch.zeros(1, 2, 1, 1, 1, 2),
        torch.zeros(1, 2, 1, 1, 1),
        64,
    )


def psa(masks):
    OPERATORS['psamask_forward'].function(masks, torch.zeros(2, 30, 5, 6), 0, 2, 5, 6, 3, 3, 1, 1)


def nms(boxes, scores):
    OPERATORS['nms'].function(boxes, scores, 0.5, 0)


def test_nothing_gives_nothing():
    none, columns = torch.zeros(0, 4, 5, 6), torch.zeros(0)
    output = torch.zeros(0, 3, 5, 6)
    OPERATORS['modulated_deform_conv_forward'].function(
        none, WEIGHTS, columns, columns, OFFSETS[:0], torch.zeros(0, 9, 5, 6), output, columns,
        3, 3, 1, 1, 1, 1, 1, 1, 1, 1, False,
    )  # fmt: skip
    assert ops.roi_pool(FEATURES, torch.zeros(0, 5), 2).shape == (0, 4, 2, 2)
    assert ops.deform_roi_pool(FEATURES, torch.zeros(0, 5), None, 2).shape == (0, 4, 2, 2)
    assert ops.carafe(none, torch.zeros(0, 9, 10, 12), 3, 1, 2).shape == (0, 4, 10, 12)
    assert (
        ops.sigmoid_focal_loss(torch.zeros(0, 3), torch.zeros(0).long(), 2, 0.25, None, 'sum') == 0
    )
    assert OPERATORS['nms'].function(torch.zeros(0, 4), torch.zeros(0), 0.5, 0).tolist() == []
    assert OPERATORS['nms_match'].function(torch.zeros(0, 5), 0.5) == []
    keep = OPERATORS['nms_rotated'].function(
        torch.zeros(0, 5), torch.zeros(0), None, None, None, 0.5, False
    )
    assert keep.tolist() == []
    lanes = OPERATORS['line_nms_forward'].function(torch.zeros(0, 77), torch.zeros(0), 0.5, 3)
    assert [lane.tolist() for lane in lanes] == [[], 0, []]


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_regions_that_are_no_numbers_are_empty(value, mode):
    rois = torch.tensor([[0, 0.0, 0, value, 4], [1, 0, 0, 4, 4]])
    features = torch.rand(2, 4, 5, 6, requires_grad=True)
    pooled = ops.roi_align(features, rois, 2, 1.0, 2, mode)
    assert not pooled[0].any() and pooled[1].all()
    pooled.sum().backward()
    assert not features.grad[0].any() and features.grad[1].any()
    assert not ops.roi_pool(features, rois, 2)[0].any()
    assert not ops.deform_roi_pool(features, rois, None, 2)[0].any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_16_bit_numbers_are_computed_in_32(dtype):
    torch.manual_seed(0)
    scores, target = torch.randn(6, 3).to(dtype), torch.tensor([0, 1, 2, 3, 0, 1])
    features, rois = torch.randn(2, 4, 5, 6).to(dtype), roi(1).to(dtype)
    masks, boxes = torch.rand(2, 9, 10, 12).to(dtype), torch.rand(2, 7, 4).to(dtype) * 4
    offsets, taps, weights = (torch.rand(2, n, 5, 6).to(dtype) for n in (18, 9, 1))
    weights = torch.randn(3, 4, 3, 3).to(dtype)
    calls = [
        lambda *x: ops.sigmoid_focal_loss(x[0], target, 2.0, 0.25, None, 'none'),
        lambda *x: ops.carafe(x[1], x[3], 3, 1, 2),
        lambda *x: ops.border_align(x[1], x[4], 3),
        lambda *x: ops.roi_align(x[1], x[2], 2),
        lambda *x: ops.deform_roi_pool(x[1], x[2], None, 2),
        lambda *x: ops.modulated_deform_conv2d(x[1], x[5], x[6], x[7], None, 1, 1),
        lambda *x: ops.deform_conv2d(x[1], x[5], x[7], 1, 1),
    ]
    operands = (scores, features, rois, masks, boxes, offsets, taps, weights)
    for call in calls:
        exact = [operand.float().requires_grad_() for operand in operands]
        rough = [operand.clone().requires_grad_() for operand in operands]
        wanted, found = call(*exact), call(*rough)
        assert found.dtype == dtype
        torch.testing.assert_close(found.float(), wanted, atol=0, rtol=2**-7)
        found.sum().backward(), wanted.sum().backward()
        for one, other in zip(rough, exact):
            if other.grad is not None:
                torch.testing.assert_close(one.grad.float(), other.grad, atol=2e-2, rtol=2**-6)


def test_autocast_does_not_lower_an_operators_precision():
    features, masks = torch.rand(1, 2, 4, 4), torch.rand(1, 9, 8, 8)
    with torch.autocast('cpu', torch.bfloat16):
        found = ops.carafe(features, masks, 3, 1, 2)
    assert torch.equal(found, ops.carafe(features, masks, 3, 1, 2))


def test_a_slow_one_says_once_that_it_is_a_stand_in():
    say_once.cache_clear()
    features, masks = torch.rand(1, 2, 4, 4), torch.rand(1, 9, 8, 8)
    with pytest.warns(UserWarning, match="'carafe_forward' is computed by PyTorch") as said:
        for _ in range(2):
            ops.carafe(features, masks, 3, 1, 2)
    assert len([one for one in said if 'without compiled' in str(one.message)]) == 1
