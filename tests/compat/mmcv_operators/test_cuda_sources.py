"""The stand-in beside mmcv's CUDA kernels, compiled for a CPU, where it has no code for CPUs.

Compiling takes a second a kernel, so those tests are slow.
"""

import ctypes
import math

import pytest
import torch
from helpers.cuda_sources import compiled
from mmcv import ops
from torch.autograd import gradcheck

from hardnet_mm.compat.mmcv_operators import OPERATORS

pytestmark = pytest.mark.usefixtures('use_own')
CONVEX = """call(int n, int k, const float* sets, const float* polygons, float* ious, float* giou) {
  convex_iou_cuda_kernel<float>(n, k, sets, polygons, ious);
  convex_giou_cuda_kernel<float>(k < n ? k : n, k, sets, polygons, giou);
}"""
RECTANGLES = """call(int n, const float* sets, float* rectangles) {
  min_area_polygons_cuda_kernel<float>(n, sets, rectangles);
}"""
POINTS = """call(int n, int m, const float* points, const float* polygons, float* inside) {
  for (blockIdx.x = 0; blockIdx.x < n * m; blockIdx.x++)  // a thread returns after its first one
    points_in_polygons_forward_cuda_kernel<float>(n * m, points, polygons, n, m, inside);
}"""
CHAMFER = """call(int b, int n, int m, const float* one, const float* two, const float* grad,
    float* dist, int* index, float* grad_one, float* grad_two) {
  chamfer_distance_forward_cuda_kernel<float>(b, n, one, m, two, dist, index);
  chamfer_distance_backward_cuda_kernel<float>(
      b, n, one, m, two, grad, index, grad_one, grad_two);
}"""
CORNERS = """call(int b, int n, int m, const float* vertices, const bool* mask, const int* valid,
    int* index) {
  for (blockIdx.x = 0; blockIdx.x < b; blockIdx.x++)
    diff_iou_rotated_sort_vertices_forward_cuda_kernel(b, n, m, vertices, mask, valid, index);
}"""
REGIONS = """call(int k, int n, int c, int h, int w, int p, int q, int samples, int orientations,
    bool clockwise, float scale, const float* features, const float* rois, const float* grad,
    float* output, float* grad_features) {
  int count = k * c * p * q;
  riroi_align_rotated_forward_cuda_kernel<float>(count, features, rois, scale, samples, clockwise,
      c / orientations, h, w, p, q, orientations, output);
  riroi_align_rotated_backward_cuda_kernel<float>(count, grad, rois, scale, samples, clockwise,
      c / orientations, h, w, p, q, orientations, grad_features);
}"""


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def quadrilaterals(count, spread=6.0):
    """Return simple ones around random places, some of them not convex: ``(count, 8)``."""
    angles = (torch.arange(4) + torch.rand(count, 4) * 0.6) * math.pi / 2
    radius = torch.rand(count, 4, 1) * 5 + 0.5
    corners = torch.stack([angles.cos(), angles.sin()], dim=-1) * radius
    corners[::2] = corners[::2].flip(1)  # the other way round
    return (corners + torch.rand(count, 1, 2) * spread).flatten(1)


def point_sets(count):
    return torch.rand(count, 18) * 10


@pytest.mark.slow
def test_overlaps_of_point_sets():
    call = compiled('convex_iou_cuda_kernel.cuh', CONVEX)
    sets, polygons = point_sets(60), quadrilaterals(60, spread=12.0)
    wanted, wanted_giou = torch.zeros(60, 60), torch.zeros(60, 19)
    call(60, 60, sets, polygons, wanted, wanted_giou)
    torch.testing.assert_close(ops.convex_iou(sets, polygons), wanted, atol=1e-5, rtol=0)
    assert (wanted > 0.2).sum() > 100 and (wanted == 0).any()
    giou, grads = ops.convex_giou(sets, polygons)
    torch.testing.assert_close(giou, wanted_giou[:, 18], atol=1e-5, rtol=0)
    torch.testing.assert_close(grads, wanted_giou[:, :18], atol=1e-5, rtol=1e-4)
    assert (giou < 0).any() and (giou > 0.2).any()


def test_gradient_of_the_generalised_overlap_is_its_derivative():
    sets, polygons = point_sets(20).double(), quadrilaterals(20).double()
    _, grads = ops.convex_giou(sets, polygons)
    step = 1e-6
    moves = torch.cat([torch.eye(18), -torch.eye(18)]).double() * step  # each number up, and down
    moved = (sets[:, None] + moves).flatten(0, 1)
    found = ops.convex_giou(moved, polygons.repeat_interleave(36, dim=0))[0].view(20, 2, 18)
    wanted = (found[:, 0] - found[:, 1]) / (2 * step)
    torch.testing.assert_close(grads, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize('kind', ['line', 'point'])
def test_point_sets_without_an_area(kind):
    sets = torch.full((1, 18), 3.0)
    if kind == 'line':
        sets[0, ::2] = torch.arange(9.0)
    square = torch.tensor([[0.0, 0, 4, 0, 4, 4, 0, 4]])
    assert ops.convex_iou(sets, square).item() == 0
    giou, grads = ops.convex_giou(sets, square)
    around = 16 if kind == 'point' else 24  # the square, and the line's end four to its right
    assert giou.item() == pytest.approx(16 / around - 1) and grads.isfinite().all()
    giou, grads = ops.convex_giou(sets, torch.full((1, 8), 3.0))
    assert giou.item() == 0 and not grads.any()
    low = 0.0 if kind == 'line' else 3.0
    rectangle = ops.min_area_polygons(sets).view(4, 2)
    assert rectangle.amin(dim=0).tolist() == pytest.approx([low, 3.0])
    assert rectangle.amax(dim=0).tolist() == pytest.approx([8.0 if kind == 'line' else 3.0, 3.0])


@pytest.mark.slow
def test_smallest_rectangles():
    call = compiled('min_area_polygons_cuda.cuh', RECTANGLES)
    sets, wanted = point_sets(200), torch.zeros(200, 8)
    sets[0] = torch.tensor([0.0, 0, 4, 0, 4, 2, 0, 2, 1, 1, 2, 1, 3, 1, 2, 0, 4, 1])  # upright
    call(200, sets, wanted)
    found = ops.min_area_polygons(sets)
    torch.testing.assert_close(rectangle_areas(found), rectangle_areas(wanted))
    same = torch.isclose(found, wanted, atol=2e-4, rtol=0).all(dim=1)
    assert same[0] and same.float().mean() > 0.9  # two rectangles around a triangle are as small
    assert rectangle_areas(found)[0].item() == pytest.approx(8)


def rectangle_areas(corners):
    sides = corners.view(-1, 4, 2) - corners.view(-1, 4, 2).roll(1, dims=1)
    return sides[:, 0].norm(dim=-1) * sides[:, 1].norm(dim=-1)


@pytest.mark.slow
def test_points_in_quadrilaterals():
    call = compiled('points_in_polygons_cuda_kernel.cuh', POINTS)
    points, polygons = torch.rand(300, 2) * 12 - 3, quadrilaterals(20)
    square = torch.tensor([[0.0, 0, 4, 0, 4, 4, 0, 4]])
    grid = torch.cartesian_prod(torch.arange(-1.0, 6), torch.arange(-1.0, 6))  # on its border, too
    points, polygons = torch.cat([points, grid]), torch.cat([polygons, square])
    wanted = torch.zeros(len(points), 21)
    call(len(points), 21, points, polygons, wanted)
    assert torch.equal(ops.points_in_polygons(points, polygons), wanted)
    assert 0.05 < wanted.mean() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize('sizes', [(40, 8), (4, 16), (1, 4)])
def test_chamfer_distance(sizes):
    """Sizes are multiples of four: of others the kernel reads what it has not written."""
    call = compiled('chamfer_distance_cuda_kernel.cuh', CHAMFER)
    first, second = (torch.randn(3, size, 2) for size in sizes)
    first.requires_grad_(), second.requires_grad_()
    found = ops.chamfer_distance(first, second)
    weights = [torch.rand(3, size) for size in sizes]
    total = (found[0] * weights[0]).sum() + (found[1] * weights[1]).sum()
    grads = torch.autograd.grad(total, (first, second))
    sets, wanted = (first.detach(), second.detach()), [torch.zeros_like(grad) for grad in grads]
    for one, two in ((0, 1), (1, 0)):
        if sizes[two] % 4:
            continue
        dist, index = torch.zeros(3, sizes[one]), torch.zeros(3, sizes[one], dtype=torch.int32)
        call(3, sizes[one], sizes[two], sets[one], sets[two], weights[one], dist, index,
             wanted[one], wanted[two])  # fmt: skip
        torch.testing.assert_close(found[one].detach(), dist)
        assert torch.equal(found[2 + one], index)
    if sizes[0] % 4 == 0:
        torch.testing.assert_close(grads, tuple(wanted), atol=1e-5, rtol=1e-5)


def test_chamfer_distance_has_the_gradient_of_its_definition():
    first, second = torch.randn(2, 5, 2).double(), torch.randn(2, 3, 2).double()
    apart = torch.cdist(first, second) ** 2
    found = [torch.zeros(2, 5).double(), torch.zeros(2, 3).double()]
    index = [torch.zeros(2, 5).int(), torch.zeros(2, 3).int()]
    OPERATORS['chamfer_distance_forward'].function(first, second, *found, *index)
    torch.testing.assert_close(found, [apart.amin(dim=2), apart.amin(dim=1)])
    first.requires_grad_(), second.requires_grad_()
    apart = ((first[:, :, None] - second[:, None]) ** 2).sum(dim=-1)
    weights = torch.rand(2, 5).double(), torch.rand(2, 3).double()
    total = (apart.amin(dim=2) * weights[0]).sum() + (apart.amin(dim=1) * weights[1]).sum()
    wanted = torch.autograd.grad(total, (first, second))
    grads = torch.zeros_like(first), torch.zeros_like(second)
    backward = OPERATORS['chamfer_distance_backward'].function
    backward(first.detach(), second.detach(), *index, *weights, *grads)
    torch.testing.assert_close(grads, wanted)


def boxes(count):
    found = torch.rand(1, count, 5)
    found[..., :2] *= 5
    found[..., 2:4] = found[..., 2:4] * 6 + 1
    found[..., 4] *= 6
    return found


@pytest.mark.slow
def test_order_of_the_corners_that_boxes_share(monkeypatch):
    call = compiled('diff_iou_rotated_cuda_kernel.cuh', CORNERS)
    own = OPERATORS['diff_iou_rotated_sort_vertices_forward'].function
    first, second = boxes(200), boxes(200)
    second[0, 0] = first[0, 0]  # the same
    given = []

    class Noted:
        @staticmethod
        def diff_iou_rotated_sort_vertices_forward(*args):
            given.append(args)
            return own(*args)

    monkeypatch.setattr('mmcv.ops.diff_iou_rotated.ext_module', Noted)
    overlap = ops.diff_iou_rotated_2d(first, second)
    vertices, mask, valid = (tensor.contiguous() for tensor in given[0])
    wanted = torch.zeros(1, 200, 9, dtype=torch.int32)
    call(1, 200, 24, vertices, mask, valid, wanted)
    assert torch.equal(own(vertices, mask, valid), wanted)
    assert valid.unique().tolist() == [0, 3, 4, 5, 6, 7, 8]
    torch.testing.assert_close(
        overlap[0], ops.box_iou_rotated(first[0], second[0], aligned=True), atol=1e-5, rtol=0
    )


def test_boxes_that_share_a_corner_or_nearly_all():
    """Compiled code counts a corner that is not there, or writes beyond its place."""
    first = torch.tensor([[2.0, 2, 4, 4, 0]]).repeat(1, 4, 1)
    second = torch.tensor(
        [[[1.0, 1, 2, 2, 0], [2, 2, 4, 4, 1e-4], [2, 2, 2, 4, 0], [4, 4, 4, 4, 0]]]
    )
    wanted = [4 / 16, 1, 8 / 16, 4 / 28]
    found = ops.diff_iou_rotated_2d(first, second)[0]
    assert found.tolist() == pytest.approx(wanted, abs=1e-3)


def test_overlap_of_rotated_boxes_has_a_gradient():
    first, second = boxes(5).double().requires_grad_(), boxes(5).double()
    assert (ops.diff_iou_rotated_2d(first, second) > 0).sum() > 2
    gradcheck(lambda first: ops.diff_iou_rotated_2d(first, second), first, fast_mode=True)


@pytest.mark.slow
@pytest.mark.parametrize('samples, clockwise', [(2, True), (0, False), (1, True)])
def test_rotation_invariant_roi_align(samples, clockwise):
    call = compiled('riroi_align_rotated_cuda_kernel.cuh', REGIONS)
    features, orientations, scale = torch.randn(2, 8, 6, 7), 4, 0.25
    rois = torch.rand(12, 6) * 24
    rois[:, 0] = torch.arange(12) % 2
    rois[:, 5] = (rois[:, 5] / 12 - 1) * math.pi  # the kernel reads elsewhere beyond a turn
    rois[0, 3] = 0
    weights, wanted = torch.randn(12, 8, 3, 2), torch.zeros(12, 8, 3, 2)
    grads = torch.zeros_like(features)
    call(12, 2, 8, 6, 7, 3, 2, samples, orientations, clockwise, ctypes.c_float(scale),
         features, rois, weights, wanted, grads)  # fmt: skip
    features.requires_grad_()
    pool = ops.RiRoIAlignRotated((3, 2), scale, samples, orientations, clockwise)
    found = pool(features, rois)
    torch.testing.assert_close(found.detach(), wanted, atol=2e-5, rtol=1e-4)
    found_grads = torch.autograd.grad(found, features, weights)[0]
    torch.testing.assert_close(found_grads, grads, atol=2e-5, rtol=1e-4)
    turned = rois.clone()
    turned[:, 5] -= 4 * math.pi
    torch.testing.assert_close(pool(features, turned), found, atol=1e-4, rtol=1e-4)
    assert pool(features, rois[:0]).shape == (0, 8, 3, 2)


def test_rotation_invariant_roi_align_has_the_gradient_of_its_value():
    rois = torch.tensor([[0, 8.0, 9, 12, 6, 0.7], [0, 3, 20, 9, 9, -2]]).double()
    pool = ops.RiRoIAlignRotated((2, 2), 0.25, 2, 4)
    features = torch.randn(1, 4, 6, 7).double().requires_grad_()
    gradcheck(lambda features: pool(features, rois), features, fast_mode=True)
