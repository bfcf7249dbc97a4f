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
SETS = torch.zeros(2, 18)


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
        ('index of its image, 0 to 1, got 2', lambda: rotated_align(turned(2))),
        ('more than 2147483647 pixels', lambda: rotated_align(turned(0, 1e9))),
        ('must not have a negative size, got -1', lambda: rotated_align(turned(0, -1.0))),
        ('rois must have the shape', lambda: rotated_align(roi(0))),
        ('boxes1 must have the shape', lambda: ops.box_iou_rotated(SETS[:, :4], SETS[:, :5])),
        ('boxes2 must have the shape', lambda: ops.box_iou_quadri(SETS[:, :8], SETS[:, :7])),
        ('num_orientations must divide the 4 channels', lambda: riroi(turned(0), 3)),
        ('num_orientations must divide the 4 channels', lambda: riroi(turned(0), 0)),
        ('index of its image', lambda: riroi(turned(7), 4)),
        ('points must be 1 or 5, got 3', lambda: feature_align(torch.zeros(2, 5, 6, 5), 3)),
        ('numbers of the shape .2, 5, 6, 5.', lambda: feature_align(torch.zeros(2, 5, 6, 4), 1)),
        ('indices must be 1 to 9, got 0 to 8', lambda: turn(torch.arange(9).int())),
        ('indices must be int32 of the shape', lambda: turn(torch.arange(1, 10))),
        ('output must have the shape', lambda: turn(torch.arange(1, 7).int())),
        ('mask must be bool of the shape', lambda: sort_corners(torch.zeros(1, 2, 24))),
        ('more than the 8 corners', lambda: sort_corners(torch.zeros(1, 2, 8).bool(), 8)),
        ('pointsets must have the shape', lambda: ops.convex_giou(SETS[:, :16], SETS[:, :8])),
        ('polygons must have the shape', lambda: ops.convex_giou(SETS, SETS[:1, :8])),
        ('pointsets must be floating-point', lambda: ops.convex_iou(SETS.long(), SETS[:, :8])),
        ('pointsets must have the shape', lambda: ops.min_area_polygons(SETS[:, :8])),
        ('one device', lambda: ops.convex_iou(SETS, SETS[:, :8].to('meta'))),
        ('xyz1 must have the shape', lambda: ops.chamfer_distance(SETS[None], SETS[None])),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(message, call):
    with pytest.raises((RuntimeError, ValueError), match=message):
        call()


def roi(image, size=4.0):
    return torch.tensor([[image, 0, 0, size, size]], dtype=torch.float32)


def turned(image, size=4.0):
    return torch.tensor([[image, 2, 2, size, size, 0.5]], dtype=torch.float32)


def rotated_align(rois):
    ops.roi_align_rotated(FEATURES, rois, 2, 1.0)


def riroi(rois, orientations):
    ops.riroi_align_rotated(FEATURES, rois, 2, 1.0, 0, orientations)


def feature_align(boxes, points):
    OPERATORS['rotated_feature_align_forward'].function(
        FEATURES, boxes, torch.zeros_like(FEATURES), 1.0, points
    )


def turn(places):
    ops.active_rotated_filter(torch.zeros(2, 2, 1, 3, 3), places.view(1, 3, -1, 1))


def sort_corners(mask, count=24):
    OPERATORS['diff_iou_rotated_sort_vertices_forward'].function(
        torch.zeros(1, 2, count, 2), mask, torch.zeros(1, 2).int()
    )


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
    assert ops.roi_align_rotated(FEATURES, torch.zeros(0, 6), 2, 1.0).shape == (0, 4, 2, 2)
    assert ops.roi_align_rotated(FEATURES, turned(0), 0, 1.0).shape == (1, 4, 0, 0)
    assert ops.riroi_align_rotated(none, torch.zeros(0, 6), 2, 1.0, 0, 4).shape == (0, 4, 2, 2)
    assert ops.rotated_feature_align(none, torch.zeros(0, 5, 6, 5)).shape == none.shape
    assert ops.convex_iou(SETS[:0], SETS[:, :8]).shape == (0, 2)
    assert ops.convex_iou(SETS, SETS[:0, :8]).shape == (2, 0)
    assert [found.shape for found in ops.convex_giou(SETS[:0], SETS[:0, :8])] == [(0,), (0, 18)]
    assert ops.min_area_polygons(SETS[:0]).shape == (0, 8)
    assert ops.points_in_polygons(torch.zeros(0, 2), SETS[:, :8]).shape == (0, 2)
    assert ops.points_in_polygons(torch.zeros(3, 2), SETS[:0, :8]).shape == (3, 0)
    points = torch.zeros(2, 3, 2, requires_grad=True)
    distances = ops.chamfer_distance(points, torch.zeros(2, 0, 2))
    assert not distances[0].any() and distances[1].shape == (2, 0)
    distances[0].sum().backward()
    assert not points.grad.any()
    order = OPERATORS['diff_iou_rotated_sort_vertices_forward'].function(
        torch.zeros(1, 0, 24, 2), torch.zeros(1, 0, 24).bool(), torch.zeros(1, 0).int()
    )
    assert order.shape == (1, 0, 9)
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
    rotated = torch.cat([rois, torch.ones(2, 1)], dim=1)
    if mode == 'avg':  # they have no other
        for pool in (ops.RoIAlignRotated(2, 1.0), ops.RiRoIAlignRotated(2, 1.0, 0, 4)):
            pooled = pool(features, rotated)
            assert not pooled[0].any() and pooled[1].any()
    assert not ops.deform_roi_pool(features, rois, None, 2)[0].any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_16_bit_numbers_are_computed_in_32(dtype):
    torch.manual_seed(0)
    scores, target = torch.randn(6, 3).to(dtype), torch.tensor([0, 1, 2, 3, 0, 1])
    features, rois = torch.randn(2, 4, 5, 6).to(dtype), roi(1).to(dtype)
    masks, boxes = torch.rand(2, 9, 10, 12).to(dtype), torch.rand(2, 7, 4).to(dtype) * 4
    offsets, taps, weights = (torch.rand(2, n, 5, 6).to(dtype) for n in (18, 9, 1))
    weights = torch.randn(3, 4, 3, 3).to(dtype)
    rotated, turns = turned(1).to(dtype), torch.rand(2, 5, 6, 5).to(dtype) * 4
    filters, orders = torch.randn(2, 2, 1, 3, 3).to(dtype), torch.randperm(9).int() + 1
    orders = torch.stack([orders, orders.flip(0)], dim=-1).view(1, 3, 3, 2)
    calls = [
        lambda *x: ops.sigmoid_focal_loss(x[0], target, 2.0, 0.25, None, 'none'),
        lambda *x: ops.carafe(x[1], x[3], 3, 1, 2),
        lambda *x: ops.border_align(x[1], x[4], 3),
        lambda *x: ops.roi_align(x[1], x[2], 2),
        lambda *x: ops.deform_roi_pool(x[1], x[2], None, 2),
        lambda *x: ops.modulated_deform_conv2d(x[1], x[5], x[6], x[7], None, 1, 1),
        lambda *x: ops.deform_conv2d(x[1], x[5], x[7], 1, 1),
        lambda *x: ops.roi_align_rotated(x[1], x[8], 2, 1.0),
        lambda *x: ops.riroi_align_rotated(x[1], x[8], 2, 1.0, 0, 4),
        lambda *x: ops.rotated_feature_align(x[1], x[9], 1.0, 5),
        lambda *x: ops.active_rotated_filter(x[10], orders),
    ]
    operands = (scores, features, rois, masks, boxes, offsets, taps, weights, rotated, turns)
    operands = (*operands, filters)
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


def test_scores_behind_rotated_boxes_are_ignored():
    """mmrotate's metrics leave them there; compiled code reads the first columns, too."""
    boxes = torch.tensor([[8.0, 8, 4, 6, 0.3], [9.0, 8, 4, 6, 0.3]])
    corners = torch.tensor([[0.0, 0, 4, 0, 4, 4, 0, 4], [1.0, 0, 5, 0, 5, 4, 1, 4]])
    for overlap, plain in ((ops.box_iou_rotated, boxes), (ops.box_iou_quadri, corners)):
        scored = torch.cat([plain, torch.ones(2, 1)], dim=1)
        found = overlap(scored, plain)
        assert torch.equal(found, overlap(plain, plain)) and 0 < found[0, 1] < 1
        assert overlap(scored[:0], plain).shape == (0, 2)
