"""Non-maximum suppression of upright boxes, and of lanes."""

import torch

from .operator import operator, widened

METHODS = ('naive', 'linear', 'gaussian')  # mmcv's numbers of the soft-NMS methods
LANE_ROWS = 72  # of CLRNet's lanes: numbers after the first five


@operator('torchvision nms', 'compiled, CPU', boxes='N 4', scores='N')
def nms(boxes, scores, iou_threshold, offset):
    """Return the indices of the selected boxes, best first, as mmcv's ``nms`` does.

    Args:
        boxes (Tensor): ``(N, 4)``, x1 y1 x2 y2.
        scores (Tensor): ``(N,)``.
        iou_threshold (float): A box is suppressed if its IoU with a better one is above this.
        offset (int): 0, or 1 for inclusive coordinates with the width ``x2 - x1 + 1``.

    Returns:
        Tensor: ``(K,)``, int64.
    """
    from torchvision.ops import nms

    boxes, scores = widened(boxes, scores)
    return nms(_with_last_pixel(boxes, offset), scores.to(boxes), iou_threshold)


@operator('torchvision box_iou', 'compiled, CPU', slow=True, boxes='N 4', scores='N', dets='N 5')
def softnms(boxes, scores, dets, iou_threshold, sigma, min_score, method, offset):
    """Lower the scores of overlapping boxes instead of dropping them, as mmcv's ``softnms`` does.

    Bodla et al., Soft-NMS, ICCV 2017: weights ``1 - IoU`` (linear) or ``exp(-IoU^2 / sigma)``
    (gaussian) multiply the scores of the boxes that overlap a better one.

    Args:
        boxes (Tensor): ``(N, 4)``, x1 y1 x2 y2.
        scores (Tensor): ``(N,)``.
        dets (Tensor): ``(N, 5)``, filled with the selected boxes and their new scores.
        iou_threshold (float): Minimum IoU for the methods naive and linear.
        sigma (float): Width of the gaussian.
        min_score (float): A box is dropped when its score falls below this.
        method (int): Index in :data:`METHODS`.
        offset (int): As in :func:`nms`.

    Returns:
        Tensor: ``(K,)``, int64, indices of the selected boxes, in the order of ``dets``.
    """
    from torchvision.ops import box_iou

    boxes, scores = widened(boxes, scores)
    areas = _with_last_pixel(boxes, offset)
    scores = scores.clone()
    left = torch.arange(len(boxes), device=boxes.device)
    keep = []
    while len(left):
        best = left[scores[left].argmax()]
        dets[len(keep)] = torch.cat([boxes[best], scores[best : best + 1]])
        keep.append(best)
        left = left[left != best]
        iou = box_iou(areas[best : best + 1], areas[left])[0]
        if METHODS[method] == 'gaussian':
            weight = torch.exp(-(iou**2) / sigma)
        elif METHODS[method] == 'linear':
            weight = torch.where(iou >= iou_threshold, 1 - iou, torch.ones_like(iou))
        else:
            weight = 1 - (iou >= iou_threshold).to(iou)
        scores[left] *= weight
        left = left[~(scores[left] < min_score)]
    return torch.stack(keep) if keep else left


@operator('torchvision box_iou', 'compiled, CPU', slow=True, dets='N 5')
def nms_match(dets, iou_threshold):
    """Return, for each selected box, its index and those of the boxes that it suppresses.

    Args:
        dets (Tensor): ``(N, 5)``, x1 y1 x2 y2 score.
        iou_threshold (float): A box is suppressed if its IoU with a better one is at least this.

    Returns:
        list[list[int]]: Groups, and indices in them, best first.
    """
    from torchvision.ops import box_iou

    (dets,) = widened(dets)
    left = dets[:, 4].sort(descending=True).indices
    groups = []
    while len(left):
        best, left = left[:1], left[1:]
        goes = box_iou(dets[best, :4], dets[left, :4])[0] >= iou_threshold
        groups.append([*best.tolist(), *left[goes].tolist()])
        left = left[~goes]
    return groups


@operator('sums of distances', 'the loops of its CUDA kernel', slow=True, boxes='N 77', scores='N')
def line_nms_forward(boxes, scores, overlap, top_k):
    """Suppress lanes that are close to a better lane: Zheng et al., CLRNet, CVPR 2022.

    Args:
        boxes (Tensor): ``(N, 77)``. The third value is the start of a lane, 0 to 1, and the fifth
            its number of rows. The values after that are its positions in 72 rows.
        scores (Tensor): ``(N,)``.
        overlap (float): A lane is suppressed if its mean distance to a better lane is below this.
        top_k (int): Maximum number of selected lanes.

    Returns:
        tuple[Tensor]: Indices of the selected lanes, best first, padded to ``(N,)``; their number;
        and for each lane the number, from 1, of the lane that suppressed it.
    """
    (lanes,) = widened(boxes)
    order = scores.sort(descending=True).indices
    first = (lanes[:, 2] * (LANE_ROWS - 1) + 0.5).long()
    last = first + lanes[:, 4].long() - 1
    rows = torch.arange(LANE_ROWS, device=boxes.device)
    gone = torch.zeros(len(order), dtype=torch.bool, device=boxes.device)
    keep, parent = torch.zeros_like(order), torch.zeros_like(order)
    kept = 0
    for rank, lane in enumerate(order.tolist()):
        if kept == top_k:
            break
        if gone[rank]:
            continue
        others = order[rank + 1 :]
        start = torch.maximum(first[lane], first[others])
        end = torch.minimum(last[lane], last[others]).clamp(max=LANE_ROWS - 1)
        shared = (rows >= start[:, None]) & (rows <= end[:, None])
        distance = ((lanes[lane, 5:] - lanes[others, 5:]).abs() * shared).sum(dim=1)
        near = (end >= start) & (start >= 0) & (distance < overlap * (end - start + 1))
        gone[rank + 1 :] |= near
        keep[kept] = lane
        kept += 1
        parent[others[near]] = kept
        parent[lane] = kept
    return keep, keep.new_tensor(kept), parent


def _with_last_pixel(boxes, offset):
    return torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1) if offset else boxes
