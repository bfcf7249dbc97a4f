"""The stand-in beside mmcv's compiled operators of the CPU, where this mmcv has them."""

import pytest
import torch
from mmcv import ops
from mmcv.ops.psa_mask import psa_mask

from hardnet_mm.compat.mmcv_operators.rotated import corners_of

# kernel, stride, padding, dilation, groups, groups of offsets
LAYOUTS = [
    (3, 1, 1, 1, 1, 1),
    (3, 2, 1, 1, 2, 2),
    (3, (1, 2), (2, 1), 2, 1, 4),
    (1, 1, 0, 1, 4, 1),
    (3, 1, 0, (2, 1), 2, 1),
]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def deformed(layout, images=2, spread=3.0):
    """Return random operands of a deformable convolution: input, offset, mask, weight, bias."""
    kernel, stride, padding, dilation, groups, offset_groups = layout
    like = torch.nn.Conv2d(8, 12, kernel, stride, padding, dilation, groups)
    inputs = torch.randn(images, 8, 9, 11)
    taps = offset_groups * kernel**2
    size = like(inputs).shape[2:]
    offset = torch.randn(images, 2 * taps, *size) * spread
    mask = torch.rand(images, taps, *size)
    return inputs, offset, mask, like.weight.detach(), torch.randn(12)


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('spread', [3.0, 0.0])  # zero: samples on the line a pixel outside
def test_deformable_convolution(compare, layout, spread):
    inputs, offset, _, weight, _ = deformed(layout, spread=spread)
    _, *settings = layout
    compare(
        'deform_conv',
        lambda inputs, offset, weight: ops.deform_conv2d(inputs, offset, weight, *settings),
        *(inputs, offset, weight),
    )


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('spread', [3.0, 0.0])
def test_modulated_deformable_convolution(compare, layout, spread):
    _, *settings = layout
    operands = deformed(layout, spread=spread)
    compare(
        'modulated_deform_conv', lambda *x: ops.modulated_deform_conv2d(*x, *settings), *operands
    )
    without_bias = operands[:-1]
    compare(
        'modulated_deform_conv',
        lambda *x: ops.modulated_deform_conv2d(*x, None, *settings),
        *without_bias,
    )


def test_offsets_larger_than_the_output_are_read_as_compiled_code_does(compare):
    """So mmdet's DyHead calls it."""
    inputs, offset, mask, weight, bias = deformed(LAYOUTS[0])
    offset, mask = torch.randn(2, 18, 12, 13), torch.rand(2, 9, 12, 13)
    compare(
        'modulated_deform_conv',
        lambda *x: ops.modulated_deform_conv2d(*x, *LAYOUTS[0][1:]),
        *(inputs, offset, mask, weight, bias),
    )


@pytest.mark.parametrize('wanted', [(0, 1), (1,), (2,), (0, 2)])
def test_deformable_convolution_where_some_gradients_are_wanted(compare, wanted):
    inputs, offset, _, weight, _ = deformed(LAYOUTS[1])
    operands = [inputs, offset, weight]

    def call(*some):
        every = [operand.clone() for operand in operands]
        for place, operand in zip(wanted, some):
            every[place] = operand
        return ops.deform_conv2d(*every, *LAYOUTS[1][1:])

    compare('deform_conv', call, *(operands[place] for place in wanted))


@pytest.mark.parametrize('value', [torch.nan, torch.inf, -torch.inf, 1e30])
def test_offsets_that_are_no_numbers_sample_zero(compare, value):
    inputs, offset, mask, weight, bias = deformed(LAYOUTS[0])
    offset[:, :, 3:5] = value
    found = compare(
        'modulated_deform_conv',
        lambda inputs, weight: ops.modulated_deform_conv2d(
            inputs, offset, mask, weight, bias, *LAYOUTS[0][1:]
        ),
        *(inputs, weight),
    )
    assert all(tensor.isfinite().all() for tensor in found)


@pytest.mark.parametrize('kind', [0, 1])
@pytest.mark.parametrize('mask, size', [((5, 7), (4, 6)), ((3, 3), (5, 4)), ((7, 11), (4, 6))])
def test_psa_mask(compare, kind, mask, size):
    inputs = torch.randn(2, mask[0] * mask[1], *size)
    compare('psa_mask', lambda inputs: psa_mask(inputs, kind, mask), inputs)


def regions(count, images=2, size=40):
    corner = torch.rand(count, 2) * size - 6
    extent = torch.rand(count, 2) * size * 0.7
    index = torch.randint(0, images, (count, 1)).float()
    return torch.cat([index, corner, corner + extent], dim=1)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('mode', ['max', 'avg'])
def test_roi_align(compare, mode, ratio, aligned):
    features = torch.randn(2, 3, 9, 10)

    def both(rois):
        pool = ops.RoIAlign((3, 2), 0.25, ratio, mode, aligned)
        compare('roi_align', lambda features: pool(features, rois), features)

    both(regions(20))
    both(torch.zeros(0, 5))
    both(torch.tensor([[1.0, 4, 4, 4, 9]]))  # without a width


def rotated_boxes(count):
    boxes = torch.rand(count, 5)
    boxes[:, :2] *= 30
    boxes[:, 2:4] = boxes[:, 2:4] * 15 + 1
    boxes[:, 4] = (boxes[:, 4] - 0.5) * 6
    return boxes


def pairs_of_rotated_boxes():
    """Some the same, some that share an edge or a corner, some without an area."""
    first, second = rotated_boxes(60), rotated_boxes(60)
    second[:10] = first[:10]
    first[10:14] = torch.tensor(
        [[5.0, 5, 4, 4, 0], [5, 5, 4, 4, 0], [5, 5, 8, 4, 0], [5, 5, 0, 4, 1]]
    )
    second[10:14] = torch.tensor(
        [[9.0, 5, 4, 4, 0], [9, 9, 4, 4, 0], [5, 5, 4, 4, 0], [5, 5, 4, 4, 0]]
    )
    return first, second


@pytest.mark.parametrize('aligned', [False, True])
@pytest.mark.parametrize('mode', ['iou', 'iof'])
def test_overlaps_of_rotated_boxes(compare, mode, aligned):
    first, second = pairs_of_rotated_boxes()
    compare('box_iou_rotated', lambda: ops.box_iou_rotated(first, second, mode, aligned))
    compare('box_iou_rotated', lambda: ops.box_iou_rotated(first[:0], second[:0], mode, aligned))
    first, second = corners_of(first).flatten(1), corners_of(second).flatten(1)
    compare('box_iou_quadri', lambda: ops.box_iou_quadri(first, second, mode, aligned))


@pytest.mark.parametrize('threshold', [0.1, 0.5])
def test_suppression_of_rotated_boxes(compare, threshold):
    boxes, scores = rotated_boxes(150), torch.rand(150)  # more than are looked at in one block
    compare('nms', lambda: ops.nms_rotated(boxes, scores, threshold)[1])
    compare('nms', lambda: ops.nms_quadri(corners_of(boxes).flatten(1), scores, threshold)[1])


def test_matched_suppression(compare):
    boxes = torch.rand(100, 4) * 30
    boxes[:, 2:] += boxes[:, :2]
    dets = torch.cat([boxes, torch.rand(100, 1)], dim=1)
    end = torch.tensor([-1])
    compare('nms', lambda: torch.cat([torch.cat([m, end]) for m in ops.nms_match(dets, 0.4)]))


@pytest.mark.parametrize('mode', ['iou', 'iof'])
@pytest.mark.parametrize('aligned', [False, True])
@pytest.mark.parametrize('offset', [0, 1])
def test_overlaps_of_boxes(compare, mode, aligned, offset):
    first, second = torch.rand(2, 30, 4) * 30
    first[:, 2:] += first[:, :2]
    second[:, 2:] += second[:, :2]
    compare('bbox', lambda: ops.bbox_overlaps(first, second, mode, aligned, offset))
    compare('bbox', lambda: ops.bbox_overlaps(first[:0], second[:0], mode, aligned, offset))


@pytest.mark.parametrize('entries, rotations', [((1, 3, 3), 8), ((8, 3, 3), 8), ((2, 1, 1), 4)])
def test_active_rotated_filters(compare, entries, rotations):
    filters = torch.randn(3, 2, *entries)
    size = filters[0, 0].numel()
    orders = torch.stack([torch.randperm(size) for _ in range(rotations)], dim=-1)
    indices = (orders + 1).int().view(*entries, rotations)
    compare(
        'active_rotated_filter',
        lambda filters: ops.active_rotated_filter(filters, indices),
        filters,
    )


def rotated_regions(count, images=2):
    boxes = rotated_boxes(count)
    boxes[:, :2] = boxes[:, :2] * 2 - 10  # some lie outside, many over the border
    index = torch.randint(0, images, (count, 1)).float()
    return torch.cat([index, boxes], dim=1)


@pytest.mark.parametrize('clockwise', [True, False])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 2])
def test_rotated_roi_align(compare, ratio, aligned, clockwise):
    features = torch.randn(2, 3, 9, 10)

    def both(rois):
        pool = ops.RoIAlignRotated((3, 2), 0.25, ratio, aligned, clockwise)
        compare('roi_align_rotated', lambda features: pool(features, rois), features)

    both(rotated_regions(20))
    both(torch.zeros(0, 6))
    both(torch.tensor([[1.0, 4, 4, 0, 9, 0.3]]))  # without a width


@pytest.mark.parametrize('points', [1, 5])
def test_rotated_feature_align(compare, points):
    features = torch.randn(2, 3, 5, 6)
    boxes = rotated_boxes(60).view(2, 5, 6, 5)
    boxes[0, 0, 0, :2] = torch.tensor([-8.0, 48.0])  # on the line a pixel outside
    for given in (boxes, boxes.flatten(0, 2)):  # as mmrotate's R3Det gives them
        compare(
            'rotated_feature_align',
            lambda features, given=given: ops.rotated_feature_align(features, given, 1 / 8, points),
            features,
        )
    compare(
        'rotated_feature_align',
        lambda features: ops.rotated_feature_align(features, boxes[:0], 1 / 8, points),
        features[:0],
    )
