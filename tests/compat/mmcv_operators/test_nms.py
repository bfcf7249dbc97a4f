"""NMS and soft-NMS beside what they are defined to do, and beside compiled operators, if any."""

import importlib.util

import pytest
import torch

from hardnet_mm.compat.mmcv_operators import nms as mmcv_ops

COMPILED = getattr(importlib.util.find_spec('mmcv._ext'), 'origin', None) is not None


def random_boxes(count, size=40):
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(count, 2, generator=generator) * size
    boxes = torch.cat([corner, corner + 1 + torch.rand(count, 2, generator=generator) * 20], dim=1)
    return boxes, torch.rand(count, generator=generator)


def slow_nms(boxes, scores, iou_threshold, offset):
    """Greedy NMS, one pair at a time."""
    keep = []
    for index in scores.argsort(descending=True).tolist():
        if all(slow_iou(boxes[index], boxes[kept], offset) <= iou_threshold for kept in keep):
            keep.append(index)
    return keep


def slow_iou(a, b, offset):
    area = (a[2] - a[0] + offset) * (a[3] - a[1] + offset)
    area = area + (b[2] - b[0] + offset) * (b[3] - b[1] + offset)
    width = (torch.min(a[2], b[2]) - torch.max(a[0], b[0]) + offset).clamp(min=0)
    height = (torch.min(a[3], b[3]) - torch.max(a[1], b[1]) + offset).clamp(min=0)
    return width * height / (area - width * height)


@pytest.mark.parametrize('offset', [0, 1])
def test_nms_honours_the_offset(offset):
    boxes, scores = random_boxes(60)
    keep = mmcv_ops.nms(boxes, scores, iou_threshold=0.3, offset=offset)
    assert keep.tolist() == slow_nms(boxes, scores, 0.3, offset)


def test_offset_matters():
    """Two boxes of one pixel, side by side: neighbours, or the same pixels."""
    boxes, scores = torch.tensor([[0.0, 0, 1, 1], [1, 0, 2, 1]]), torch.tensor([0.9, 0.8])
    assert len(mmcv_ops.nms(boxes, scores, iou_threshold=0.3, offset=0)) == 2
    assert len(mmcv_ops.nms(boxes, scores, iou_threshold=0.3, offset=1)) == 1


def test_mmcv_uses_it_batched_and_class_agnostic():
    from mmcv.ops import batched_nms

    boxes, scores = random_boxes(60)
    labels = torch.arange(60) % 3
    cfg = dict(type='nms', iou_threshold=0.3)
    kept = batched_nms(boxes, scores, labels, cfg)[1]
    wanted = [
        index
        for label in range(3)
        for index in torch.nonzero(labels == label)[:, 0][
            slow_nms(boxes[labels == label], scores[labels == label], 0.3, 0)
        ].tolist()
    ]
    assert sorted(kept.tolist()) == sorted(wanted)
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    agnostic = batched_nms(boxes, scores, labels, cfg, class_agnostic=True)[1]
    assert agnostic.tolist() == slow_nms(boxes, scores, 0.3, 0)


@pytest.mark.parametrize('method', mmcv_ops.METHODS)
def test_soft_nms(method):
    boxes, scores = random_boxes(12)
    dets = torch.zeros(12, 5)
    index = mmcv_ops.METHODS.index(method)
    keep = mmcv_ops.softnms(boxes, scores, dets, 0.3, 0.5, 0.05, index, 0)
    assert torch.equal(dets[: len(keep), :4], boxes[keep])
    left = dict(enumerate(scores.tolist()))
    for rank, kept in enumerate(keep.tolist()):
        assert kept == max(left, key=left.get)
        assert dets[rank, 4].item() == pytest.approx(left.pop(kept), abs=1e-6)
        for other in list(left):
            iou = slow_iou(boxes[kept], boxes[other], 0).item()
            if method == 'gaussian':
                left[other] *= 2.718281828 ** (-(iou**2) / 0.5)
            elif iou >= 0.3:
                left[other] *= 1 - iou if method == 'linear' else 0
            if left[other] < 0.05:
                del left[other]
    assert not left


@pytest.mark.skipif(not COMPILED, reason='this mmcv was installed without compiled operators')
@pytest.mark.parametrize('offset', [0, 1])
def test_the_same_as_compiled(offset):
    import mmcv._ext as compiled

    boxes, scores = random_boxes(200)
    arguments = dict(iou_threshold=0.4, offset=offset)
    assert torch.equal(
        compiled.nms(boxes, scores, **arguments), mmcv_ops.nms(boxes, scores, **arguments)
    )
    for method in range(3):
        results = []
        for module in (compiled, mmcv_ops):
            dets = torch.zeros(200, 5)
            keep = module.softnms(
                boxes, scores.clone(), dets, sigma=0.5, min_score=0.01, method=method, **arguments
            )
            results.append((keep, dets[: len(keep)]))
        assert torch.equal(results[0][0], results[1][0])
        torch.testing.assert_close(results[0][1], results[1][1])
