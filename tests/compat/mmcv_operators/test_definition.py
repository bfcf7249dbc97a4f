"""Operators that mmcv compiles for GPUs only, beside loops in float64 and numeric derivatives."""

import functools
import math

import pytest
import torch
from mmcv import ops
from mmcv.ops.carafe import carafe
from mmcv.ops.deform_roi_pool import deform_roi_pool
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from mmcv.ops.sync_bn import SyncBatchNormFunction
from torch.autograd import gradcheck as slow_gradcheck

from hardnet_mm.compat.mmcv_operators import OPERATORS

pytestmark = pytest.mark.usefixtures('use_own')
gradcheck = functools.partial(slow_gradcheck, fast_mode=True)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def double(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize('gamma, alpha', [(2.0, 0.25), (0.5, 0.75), (0.0, 0.5)])
@pytest.mark.parametrize('weighted', [False, True])
def test_sigmoid_focal_loss(gamma, alpha, weighted):
    scores = double(6, 4) * 3
    target = torch.tensor([0, 1, 2, 3, 1, 1] if weighted else [0, 1, 2, 3, 4, -1])
    weight = torch.rand(4, dtype=torch.float64) if weighted else None
    found = ops.sigmoid_focal_loss(scores, target, gamma, alpha, weight, 'none')
    for row, label in enumerate(target.tolist()):
        for column in range(4):
            p = 1 / (1 + math.exp(-scores[row, column]))
            right, factor = (p, alpha) if column == label else (1 - p, 1 - alpha)
            wanted = -factor * (1 - right) ** gamma * math.log(right)
            wanted *= weight[label].item() if weighted else 1
            assert found[row, column].item() == pytest.approx(wanted, rel=1e-9)
    scores.requires_grad_()
    loss = ops.SigmoidFocalLoss(gamma, alpha, weight, 'mean')
    gradcheck(lambda scores: loss(scores, target), scores)


def test_sigmoid_focal_loss_of_sure_scores_is_finite_and_exact():
    """Where single precision rounds the probability to one, the loss is still that of the paper."""
    scores = torch.tensor([[20.0], [-20.0], [100.0], [-100.0]], requires_grad=True)
    loss = ops.sigmoid_focal_loss(scores, torch.ones(4, dtype=torch.long), 2.0, 0.25, None, 'none')
    assert loss[:, 0].tolist() == pytest.approx([15.0, 0, 75, 0], abs=1e-6)
    loss.sum().backward()
    assert scores.grad[:, 0].tolist() == pytest.approx([0.75, 0, 0.75, 0], abs=1e-6)


@pytest.mark.parametrize('gamma', [2.0, 1.0])
def test_softmax_focal_loss(gamma):
    scores, target = double(5, 4) * 2, torch.tensor([0, 3, 1, -1, 2])
    found = ops.softmax_focal_loss(scores, target, gamma, 0.25, None, 'none')
    for row, label in enumerate(target.tolist()):
        p = scores[row].softmax(0)[label].item()
        wanted = -0.25 * (1 - p) ** gamma * math.log(p) if label >= 0 else 0
        assert found[row].item() == pytest.approx(wanted, rel=1e-9)
    weight = torch.rand(4, dtype=torch.float64)
    scores.requires_grad_()
    loss = ops.SoftmaxFocalLoss(gamma, 0.25, weight, 'sum')
    gradcheck(lambda scores: loss(scores, target), scores)


def at(features, y, x, outside):
    """Return a map's value between pixels; ``outside`` tells what lies beyond its border."""
    height, width = features.shape
    if outside == 'border':  # mmcv's, of regions
        if not (-1 <= y <= height and -1 <= x <= width):
            return features.new_zeros(())
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    total = features.new_zeros(())
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                total = total + (1 - abs(y - row)) * (1 - abs(x - column)) * features[row, column]
    return total


def attention(images=2, queries=3):
    sizes = [(4, 5), (2, 3)]
    value = double(images, 26, 2, 3)
    locations = torch.rand(images, queries, 2, 2, 2, 2, dtype=torch.float64) * 1.4 - 0.2
    weights = torch.rand(images, queries, 2, 2, 2, dtype=torch.float64)
    return value, torch.tensor(sizes), torch.tensor([0, 20]), locations, weights


def test_multi_scale_deformable_attention():
    value, sizes, starts, locations, weights = attention()
    apply = MultiScaleDeformableAttnFunction.apply
    found = apply(value, sizes, starts, locations, weights, 64)
    for image, query, head, channel in ((0, 0, 0, 0), (1, 2, 1, 2), (1, 1, 0, 1), (0, 2, 1, 0)):
        wanted = 0
        for level, (height, width) in enumerate(sizes.tolist()):
            pixels = value[image, starts[level] :][: height * width, head, channel]
            for point in range(2):
                x, y = locations[image, query, head, level, point].tolist()
                sample = at(pixels.view(height, width), y * height - 0.5, x * width - 0.5, 'zero')
                wanted += weights[image, query, head, level, point] * sample
        torch.testing.assert_close(found[image, query, head * 3 + channel], wanted)
    operands = [tensor.requires_grad_() for tensor in (value, locations, weights)]
    gradcheck(
        lambda value, locations, weights: apply(value, sizes, starts, locations, weights, 64),
        operands,
    )
    assert apply(*attention(queries=0), 64).shape == (2, 0, 6)


@pytest.mark.parametrize('kernel, groups, scale', [(3, 2, 2), (5, 1, 3), (1, 4, 1)])
def test_carafe(kernel, groups, scale):
    features = double(2, 4, 3, 4)
    masks = double(2, groups * kernel**2, 3 * scale, 4 * scale)
    found = carafe(features, masks, kernel, groups, scale)
    torch.testing.assert_close(ops.carafe_naive(features, masks, kernel, groups, scale), found)
    for image, channel, row, column in ((0, 0, 0, 0), (1, 3, 3 * scale - 1, 2), (0, 2, 1, 3)):
        wanted = 0
        for tap in range(kernel**2):
            y = row // scale + tap // kernel - kernel // 2
            x = column // scale + tap % kernel - kernel // 2
            if 0 <= y < 3 and 0 <= x < 4:
                group = channel * groups // 4
                wanted += (
                    features[image, channel, y, x]
                    * masks[image, group * kernel**2 + tap, row, column]
                )
        torch.testing.assert_close(
            found[image, channel, row, column], torch.as_tensor(wanted).to(found)
        )
    gradcheck(
        lambda *x: carafe(*x, kernel, groups, scale),
        (features[:1].requires_grad_(), masks[:1].requires_grad_()),
    )
    grads = torch.zeros_like(features), torch.zeros_like(masks)
    naive = OPERATORS['carafe_naive_backward'].function
    naive(torch.ones_like(found), features, masks, *grads, kernel, groups, scale)
    features.requires_grad_(), masks.requires_grad_()
    wanted = torch.autograd.grad(
        carafe(features, masks, kernel, groups, scale).sum(), (features, masks)
    )
    torch.testing.assert_close(grads, wanted)


def test_border_align():
    features = double(2, 8, 5, 6)
    boxes = torch.rand(2, 30, 4, dtype=torch.float64) * 5 - 1
    boxes[..., 2:] += boxes[..., :2]
    found = ops.border_align(features, boxes, 4)
    assert found.shape == (2, 2, 30, 4)
    for image, channel, box in ((0, 0, 0), (1, 1, 7), (1, 0, 29)):
        x1, y1, x2, y2 = boxes[image, box].tolist()
        for side in range(4):
            plane = features[image, side * 2 + channel]
            samples = []
            for step in range(5):
                along_x, along_y = (x2 - x1) * step / 4, (y2 - y1) * step / 4
                y, x = [
                    (y1, x1 + along_x),
                    (y1 + along_y, x1),
                    (y2, x2 - along_x),
                    (y2 - along_y, x2),
                ][side]
                samples.append(at(plane, y, x, 'border'))
            torch.testing.assert_close(found[image, channel, box, side], max(samples))
    gradcheck(lambda x: ops.border_align(x, boxes[:1, :5], 4), features[:1].requires_grad_())
    assert ops.border_align(features, boxes[:, :0], 4).shape == (2, 2, 0, 4)


ROIS = [[0, 1.0, 2.0, 17.0, 12.0], [1, -3.0, 0.0, 9.0, 22.0], [1, 5.0, 5.0, 5.5, 6.0]]


@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('moved', [False, True])
def test_deformable_roi_pooling(ratio, moved):
    features, rois = double(2, 2, 6, 7), torch.tensor(ROIS, dtype=torch.float64)
    offset = double(3, 2, 2, 3) if moved else None
    found = deform_roi_pool(features, rois, offset, (2, 3), 0.25, ratio, 0.1)
    for roi, channel, row, column in ((0, 0, 0, 0), (1, 1, 1, 2), (2, 0, 1, 1)):
        image, *edges = rois[roi].tolist()
        x1, y1, x2, y2 = (edge * 0.25 - 0.5 for edge in edges)
        width, height = x2 - x1, y2 - y1
        samples_y, samples_x = ratio or math.ceil(height / 2), ratio or math.ceil(width / 3)
        move_x, move_y = offset[roi, :, row, column].tolist() if moved else (0, 0)
        total = 0
        for i in range(samples_y):
            for j in range(samples_x):
                y = y1 + 0.1 * height * move_y + height / 2 * (row + (i + 0.5) / samples_y)
                x = x1 + 0.1 * width * move_x + width / 3 * (column + (j + 0.5) / samples_x)
                total = total + at(features[int(image), channel], y, x, 'border')
        torch.testing.assert_close(
            found[roi, channel, row, column], total / (samples_y * samples_x)
        )
    operands = [features.requires_grad_(), *([offset.requires_grad_()] if moved else [])]
    gradcheck(
        lambda features, *offset: deform_roi_pool(
            features, rois, *(offset or [None]), (2, 3), 0.25, ratio, 0.1
        ),
        operands,
    )


def test_roi_pooling():
    features, rois = double(2, 2, 6, 7), torch.tensor([*ROIS, [0, 9, 9, 2, 2]], dtype=torch.float64)
    found = ops.roi_pool(features, rois, (2, 3), 0.25)
    for roi, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, top, right, bottom = x1 / 4, y1 / 4, (x2 + 1) / 4, (y2 + 1) / 4
        for row in range(2):
            for column in range(3):
                high, wide = (bottom - top) / 2, (right - left) / 3
                rows = range(math.floor(row * high + top), math.ceil((row + 1) * high + top))
                columns = range(
                    math.floor(column * wide + left), math.ceil((column + 1) * wide + left)
                )
                there = [(y, x) for y in rows for x in columns if 0 <= y < 6 and 0 <= x < 7]
                there = there if high > 0 and wide > 0 else []
                for channel in range(2):
                    plane = features[int(image), channel]
                    wanted = max([plane[place].item() for place in there], default=0)
                    assert found[roi, channel, row, column].item() == wanted
    gradcheck(lambda x: ops.roi_pool(x, rois, (2, 3), 0.25), features.requires_grad_())


def test_roi_align_forward_and_gradient():
    features = torch.arange(36.0).view(1, 1, 6, 6).requires_grad_()
    rois = torch.tensor([[0, 1.0, 1.0, 5.0, 5.0]])
    # A plane's average over a bin is its value at the bin's centre.
    pooled = ops.roi_align(features, rois, (2, 2), 1.0, 0, 'avg', True)
    wanted = torch.tensor([[1.5 * 6 + 1.5, 1.5 * 6 + 3.5], [3.5 * 6 + 1.5, 3.5 * 6 + 3.5]])
    torch.testing.assert_close(pooled[0, 0], wanted)
    pooled.sum().backward()
    assert features.grad.sum().item() == pytest.approx(4)  # each bin's weights sum to one
    assert features.grad[0, 0, 0].sum() == 0


def test_masked_convolution():
    features, mask = double(1, 3, 5, 6), torch.rand(1, 5, 6) > 0.5
    conv = ops.MaskedConv2d(3, 4, 3, padding=1).double()
    with torch.no_grad():
        found, wanted = conv(features, mask), conv(features) * mask
        torch.testing.assert_close(found, wanted)
        assert not conv(features, torch.zeros(1, 5, 6)).any()


def test_synchronized_batch_norm():
    """mmcv asks for single precision; torch's own in double tells what is right."""
    inputs = torch.randn(3, 4, 5, 2)
    own, reference = torch.nn.BatchNorm2d(4), torch.nn.BatchNorm2d(4).double()
    with torch.no_grad():
        own.weight.copy_(torch.rand(4)), own.bias.copy_(torch.rand(4))
    reference.load_state_dict(own.state_dict())

    results = []
    for norm in (own, reference):
        x = inputs.to(norm.weight.dtype, copy=True).requires_grad_()
        if norm is own:
            y = SyncBatchNormFunction.apply(
                x, own.running_mean, own.running_var, own.weight, own.bias, 0.1, 1e-5, None, 1,
                'default',
            )  # fmt: skip
        else:
            y = norm(x)
        (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        grads = [x.grad, norm.weight.grad, norm.bias.grad]
        results.append([y, *grads, norm.running_mean, norm.running_var])
    for found, wanted in zip(*results):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-3)


def lane_distance(a, b):
    """As the CUDA kernel: the rows both lanes have, and the sum of their distances there."""
    start_a, start_b = int(a[2] * 71 + 0.5), int(b[2] * 71 + 0.5)
    start = max(start_a, start_b)
    end = min(start_a + int(a[4]) - 1, start_b + int(b[4]) - 1, 71)
    rows = range(start, end + 1)
    return len(rows), sum(abs(a[5 + row] - b[5 + row]).item() for row in rows)


@pytest.mark.parametrize('top_k', [100, 3])
def test_suppression_of_lanes(top_k):
    lanes, scores = torch.rand(25, 77), torch.rand(25)
    lanes[:, 4] = torch.randint(0, 60, (25,)).float()
    lanes[:, 5:] = lanes[:, 5:] + torch.randint(0, 3, (25, 1)) * 3
    keep, count, parent = OPERATORS['line_nms_forward'].function(lanes, scores, 0.6, top_k)
    wanted, gone, parents = [], set(), [0] * 25
    order = scores.argsort(descending=True).tolist()
    for rank, lane in enumerate(order):
        if lane in gone or len(wanted) == top_k:
            continue
        wanted.append(lane)
        for other in order[rank + 1 :]:
            rows, distance = lane_distance(lanes[lane], lanes[other])
            if rows and distance < 0.6 * rows:
                gone.add(other)
                parents[other] = len(wanted)
        parents[lane] = len(wanted)
    assert keep[: int(count)].tolist() == wanted and len(keep) == 25
    assert parent.tolist() == parents
    assert 1 < len(wanted) < 25


def clipped(subject, clip):
    """Return the area that two convex polygons share, one edge cut after the other."""

    def cross(o, a, b):
        return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])

    def size(polygon):
        return sum(cross((0, 0), a, b) for a, b in zip(polygon, polygon[1:] + polygon[:1])) / 2

    clip = clip if size(clip) > 0 else clip[::-1]
    for a, b in zip(clip, clip[1:] + clip[:1]):
        kept = []
        for p, q in zip(subject, subject[1:] + subject[:1]):
            one, two = cross(a, b, p), cross(a, b, q)
            if one >= 0:
                kept.append(p)
            if one * two < 0:
                kept.append(tuple(p[i] + one / (one - two) * (q[i] - p[i]) for i in (0, 1)))
        subject = kept
        if not subject:
            return 0
    return abs(size(subject))


def test_overlaps_of_quadrilaterals_that_are_no_rectangles():
    angles = (torch.arange(4) + torch.rand(12, 2, 4, dtype=torch.float64) * 0.6) * math.pi / 2
    corners = torch.stack([angles.cos(), angles.sin()], dim=-1)  # on a circle: convex
    corners[:, 1] = corners[:, 1].flip(1) * 0.8 + torch.rand(12, 1, 2)
    first, second = corners[:, 0], corners[:, 1]
    found = ops.box_iou_quadri(first.flatten(1), second.flatten(1), aligned=True)
    for pair in range(12):
        one, two = ([tuple(p) for p in polygon[pair].tolist()] for polygon in (first, second))
        shared = clipped(one, two)
        wanted = shared / (clipped(one, one) + clipped(two, two) - shared)
        assert found[pair].item() == pytest.approx(wanted, abs=1e-5)
    assert found.max() > 0.2


def test_labels_keep_rotated_boxes_from_each_other():
    """mmcv's compiled operator of the CPU does not look at them, that of the GPU does."""
    boxes = torch.tensor([[5.0, 5, 4, 2, 0.3]]).repeat(3, 1)
    scores, labels = torch.tensor([0.5, 0.9, 0.7]), torch.tensor([0.0, 1, 1])
    assert ops.nms_rotated(boxes, scores, 0.1)[1].tolist() == [1]
    assert ops.nms_rotated(boxes, scores, 0.1, labels)[1].tolist() == [1, 0]
