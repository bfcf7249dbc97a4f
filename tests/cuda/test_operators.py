"""The stand-ins of mmcv's operators on a GPU, beside the CPU; and what a GPU alone calls."""

import copy
import importlib
import math
import pkgutil

import mmcv.ops
import pytest
import torch
from mmcv import ops
from mmcv.ops.carafe import carafe
from mmcv.ops.deform_roi_pool import deform_roi_pool
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from mmcv.ops.psa_mask import psa_mask
from mmcv.ops.sync_bn import SyncBatchNormFunction

from hardnet_mm.compat.mmcv_operators import OPERATORS, make_extension
from hardnet_mm.compat.mmcv_operators.rotated import corners_of

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def use_own(monkeypatch):
    """Let mmcv.ops call the stand-in, whatever this mmcv was installed with."""
    extension = make_extension()
    for info in pkgutil.iter_modules(mmcv.ops.__path__):
        module = importlib.import_module(f'mmcv.ops.{info.name}')
        if hasattr(module, 'ext_module'):
            monkeypatch.setattr(module, 'ext_module', extension)


def images(*shape):
    return torch.randn(*shape)


def regions(count=12, size=36):
    corner = torch.rand(count, 2) * size - 4
    index = torch.randint(0, 2, (count, 1)).float()
    return torch.cat([index, corner, corner + torch.rand(count, 2) * size * 0.7], dim=1)


def boxes(count):
    corner = torch.rand(count, 4) * 30
    corner[:, 2:] += corner[:, :2]
    return corner


def rotated(count):
    corner = torch.rand(count, 5)
    corner[:, :2] *= 30
    corner[:, 2:4] = corner[:, 2:4] * 15 + 1
    corner[:, 4] = (corner[:, 4] - 0.5) * 6
    return corner


def rotations(count, *shape):
    """Return where each entry of a filter goes, from 1 on: no two to one place."""
    places = [torch.randperm(math.prod(shape)) + 1 for _ in range(count)]
    return torch.stack(places, dim=-1).view(*shape, count).int()


def rotated_regions(count):
    return torch.cat([torch.randint(0, 2, (count, 1)).float(), rotated(count)], dim=1)


def deformed(masked):
    offset, mask = torch.randn(2, 18, 9, 11) * 3, torch.rand(2, 9, 9, 11)
    weight = torch.randn(12, 8, 3, 3)
    return [images(2, 8, 9, 11), offset, *([mask] if masked else []), weight]


def attention():
    weights = torch.rand(2, 3, 2, 2, 2)
    sizes, starts = torch.tensor([(4, 5), (2, 3)]), torch.tensor([0, 20])
    return images(2, 26, 2, 3), sizes, starts, torch.rand(2, 3, 2, 2, 2, 2) * 1.4 - 0.2, weights


def synchronized(x, mean, variance, weight, bias):
    arguments = (mean.clone(), variance.clone(), weight, bias, 0.1, 1e-5, None, 1, 'default')
    return SyncBatchNormFunction.apply(x, *arguments)


def lanes(count=25):
    values = torch.rand(count, 77)
    values[:, 4] = torch.randint(0, 60, (count,)).float()
    return values, torch.rand(count)


def matched(dets):
    end = dets.new_full((1,), -1).long()
    return torch.cat([torch.cat([each.to(end), end]) for each in ops.nms_match(dets, 0.4)])


# Each: how it is called, and with what; a tuple of tensors.
CALLS = dict(
    sigmoid_focal_loss=(
        lambda x, target, w: ops.sigmoid_focal_loss(x, target, 2.0, 0.25, w, 'sum'),
        lambda: (images(6, 4), torch.tensor([0, 1, 2, 3, 1, 1]), torch.rand(4)),
    ),
    softmax_focal_loss=(
        lambda x, target: ops.softmax_focal_loss(x, target, 2.0, 0.25, None, 'sum'),
        lambda: (images(5, 4), torch.tensor([0, 3, 1, -1, 2])),
    ),
    ms_deform_attn=(lambda *x: MultiScaleDeformableAttnFunction.apply(*x, 64), attention),
    carafe=(
        lambda x, masks: carafe(x, masks, 3, 2, 2),
        lambda: (images(2, 4, 3, 4), torch.rand(2, 18, 6, 8)),
    ),
    border_align=(
        lambda x, corners: ops.border_align(x, corners, 4),
        lambda: (images(2, 8, 5, 6), torch.stack([boxes(30), boxes(30)]) / 8),
    ),
    deform_roi_pool=(
        lambda x, rois, offset: deform_roi_pool(x, rois, offset, (2, 3), 0.25, 0, 0.1),
        lambda: (images(2, 2, 9, 10), regions(), torch.randn(12, 2, 2, 3)),
    ),
    roi_pool=(
        lambda x, rois: ops.roi_pool(x, rois, (2, 3), 0.25),
        lambda: (images(2, 2, 9, 10), regions()),
    ),
    roi_align_avg=(
        lambda x, rois: ops.RoIAlign((3, 2), 0.25, 0, 'avg', True)(x, rois),
        lambda: (images(2, 3, 9, 10), regions()),
    ),
    roi_align_max=(
        lambda x, rois: ops.RoIAlign((3, 2), 0.25, 2, 'max', False)(x, rois),
        lambda: (images(2, 3, 9, 10), regions()),
    ),
    deform_conv=(
        lambda x, offset, weight: ops.deform_conv2d(x, offset, weight, 1, 1),
        lambda: deformed(masked=False),
    ),
    modulated_deform_conv=(
        lambda x, offset, mask, weight: ops.modulated_deform_conv2d(
            x, offset, mask, weight, None, 1, 1
        ),
        lambda: deformed(masked=True),
    ),
    psa_mask=(lambda x: psa_mask(x, 0, (5, 7)), lambda: (images(2, 35, 4, 6),)),
    sync_bn=(
        synchronized,
        lambda: (images(3, 4, 5, 2), torch.zeros(4), torch.ones(4), torch.rand(4), torch.rand(4)),
    ),
    box_iou_rotated=(
        lambda a, b: ops.box_iou_rotated(a, b, 'iou', False),
        lambda: (rotated(20), rotated(15)),
    ),
    box_iou_quadri=(
        lambda a, b: ops.box_iou_quadri(a, b, 'iou', True),
        lambda: (corners_of(rotated(20)).flatten(1), corners_of(rotated(20)).flatten(1)),
    ),
    bbox_overlaps=(ops.bbox_overlaps, lambda: (boxes(20), boxes(15))),
    nms=(lambda b, s: ops.nms(b, s, 0.5)[1], lambda: (boxes(60), torch.rand(60))),
    soft_nms=(
        lambda b, s: ops.soft_nms(b.detach(), s.detach(), 0.5, 0.5, 1e-3, 'gaussian')[0],
        lambda: (boxes(60), torch.rand(60)),
    ),
    nms_match=(matched, lambda: (torch.cat([boxes(60), torch.rand(60, 1)], dim=1),)),
    nms_rotated=(
        lambda b, s: ops.nms_rotated(b, s, 0.1)[1],
        lambda: (rotated(60), torch.rand(60)),
    ),
    nms_quadri=(
        lambda b, s: ops.nms_quadri(b, s, 0.1)[1],
        lambda: (corners_of(rotated(60)).flatten(1), torch.rand(60)),
    ),
    roi_align_rotated=(
        lambda x, rois: ops.RoIAlignRotated((2, 3), 0.25, 2, True, False)(x, rois),
        lambda: (images(2, 3, 9, 10), rotated_regions(12)),
    ),
    riroi_align_rotated=(
        lambda x, rois: ops.RiRoIAlignRotated((2, 3), 0.25, 2, 4, False)(x, rois),
        lambda: (images(2, 8, 9, 10), rotated_regions(12)),
    ),
    rotated_feature_align=(
        lambda x, b: ops.rotated_feature_align(x, b.view(2, 5, 6, 5), 0.25, 5),
        lambda: (images(2, 3, 5, 6), rotated(60)),
    ),
    active_rotated_filter=(
        ops.active_rotated_filter,
        lambda: (images(3, 2, 4, 3, 3), rotations(8, 4, 3, 3)),
    ),
    chamfer_distance=(
        lambda a, b: torch.cat(ops.chamfer_distance(a, b)[:2], dim=1),
        lambda: (images(2, 7, 2), images(2, 7, 2)),
    ),
    convex_giou=(
        lambda points, polygons: torch.cat(
            [part.flatten() for part in ops.convex_giou(points.detach(), polygons.detach())]
        ),
        lambda: (torch.rand(9, 18) * 20, corners_of(rotated(9)).flatten(1)),
    ),
    convex_iou=(
        lambda points, polygons: ops.convex_iou(points.detach(), polygons.detach()),
        lambda: (torch.rand(9, 18) * 20, corners_of(rotated(7)).flatten(1)),
    ),
    min_area_polygons=(
        lambda points: ops.min_area_polygons(points.detach()),
        lambda: (torch.rand(9, 18) * 20,),
    ),
    points_in_polygons=(
        lambda points, polygons: ops.points_in_polygons(points.detach(), polygons.detach()),
        lambda: (torch.rand(40, 2) * 30, corners_of(rotated(7)).flatten(1)),
    ),
    diff_iou_rotated_2d=(
        ops.diff_iou_rotated_2d,
        lambda: (rotated(30).view(2, 15, 5), rotated(30).view(2, 15, 5)),
    ),
    line_nms=(
        lambda b, s: OPERATORS['line_nms_forward'].function(b, s, 0.6, 10)[0],
        lanes,
    ),
)


def run(call, inputs):
    """Return an operator's output and its inputs' gradients, on the CPU."""
    leaves = [tensor.detach().clone() for tensor in inputs]
    numbers = [leaf.requires_grad_() for leaf in leaves if leaf.is_floating_point()]
    output = call(*leaves)
    if not output.requires_grad:
        return [output.cpu()]
    generator = torch.Generator().manual_seed(7)
    weights = torch.randn(output.shape, generator=generator).to(output)
    grads = torch.autograd.grad(output, numbers, weights, allow_unused=True)
    return [each.detach().cpu() for each in (output, *grads) if each is not None]


@pytest.mark.parametrize('name', CALLS)
def test_operators_give_what_they_give_on_a_cpu(device, name):
    call, make = CALLS[name]
    inputs = make()
    found = run(call, [tensor.to(device) for tensor in inputs])
    for one, other in zip(found, run(call, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_every_operator_is_called(monkeypatch):
    """But those that give information alone, and what is called by none of mmcv's functions."""
    used = set()

    def noting(name, function):
        def call(*args, **kwargs):
            used.add(name)
            return function(*args, **kwargs)

        return call

    for name, operator in OPERATORS.items():
        for info in pkgutil.iter_modules(mmcv.ops.__path__):
            module = importlib.import_module(f'mmcv.ops.{info.name}')
            if hasattr(module, 'ext_module'):
                monkeypatch.setattr(module.ext_module, name, noting(name, operator.function))
    for call, make in CALLS.values():
        run(call, make())
    left = {name for name in OPERATORS if name not in used}
    assert left <= UNCALLED, left - UNCALLED


UNCALLED = {
    'get_compiler_version',
    'get_compiling_cuda_version',
    'carafe_naive_forward',
    'carafe_naive_backward',
    'line_nms_forward',  # called above by itself
    'masked_im2col_forward',
    'masked_col2im_forward',
}


def test_carafe_naive(device, on_cuda):
    """mmcv asserts a GPU in its backward pass."""
    inputs = [images(2, 4, 3, 4).to(device), torch.rand(2, 18, 6, 8).to(device)]
    found = run(lambda *x: ops.carafe_naive(*x, 3, 2, 2), inputs)
    for one, other in zip(found, run(lambda *x: carafe(*x, 3, 2, 2), inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_masked_convolution(device):
    features, mask = images(1, 3, 5, 6).to(device), (torch.rand(1, 5, 6) > 0.5).to(device)
    conv = ops.MaskedConv2d(3, 4, 3, padding=1).to(device)
    with torch.no_grad():
        torch.testing.assert_close(
            conv(features, mask), conv(features) * mask, rtol=1e-3, atol=1e-4
        )


def test_focal_losses_of_the_toolboxes(device):
    """They call the operator on a GPU alone."""
    from mmdet.models.losses import FocalLoss
    from mmseg.models.losses import FocalLoss as PixelFocalLoss

    scores, labels = images(8, 3), torch.randint(0, 4, (8,))
    results = []
    for where in ('cpu', device):
        leaf = scores.detach().to(where).requires_grad_()
        FocalLoss(use_sigmoid=True)(leaf, labels.to(where)).backward()
        results.append(leaf.grad.cpu())
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-5)
    if device.type == 'cuda':  # mmseg's other branch takes other labels
        maps = images(2, 3, 4, 5).to(device).requires_grad_()
        PixelFocalLoss()(maps, torch.randint(0, 3, (2, 4, 5), device=device)).backward()
        assert maps.grad.isfinite().all() and maps.grad.any()


def test_deformable_attention_of_a_transformer(device):
    """It calls the operator on a GPU alone."""
    from mmcv.ops import MultiScaleDeformableAttention

    attend = MultiScaleDeformableAttention(embed_dims=32, num_levels=2, num_heads=4, num_points=2)
    query, value = images(2, 3, 32), images(2, 26, 32)
    others = dict(
        reference_points=torch.rand(2, 3, 2, 2),
        spatial_shapes=torch.tensor([(4, 5), (2, 3)]),
        level_start_index=torch.tensor([0, 20]),
    )
    results = []
    for where in ('cpu', device):
        module = copy.deepcopy(attend).to(where).eval()
        leaf = value.transpose(0, 1).to(where).requires_grad_()
        arguments = {key: tensor.to(where) for key, tensor in others.items()}
        output = module(query.transpose(0, 1).to(where), value=leaf, **arguments)
        output.square().sum().backward()
        results.append((output.detach().cpu(), leaf.grad.cpu()))
    for found, wanted in zip(*reversed(results)):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
