"""A stand-in for mmcv's compiled operators, ``mmcv._ext``, where mmcv was installed without them.

NMS, soft-NMS and RoIAlign are enough for detectors to import, train and predict; they are computed
by torchvision. Every other operator is present, so that mmcv.ops imports, and raises when called.
torchvision takes seconds to import, so each operator does it, once it is called.
"""

import importlib.machinery
import importlib.util
import sys
import types

import torch

METHODS = ('naive', 'linear', 'gaussian')  # mmcv's numbers of the soft-NMS methods


def install():
    """Put the stand-in in the place of compiled operators that are not there."""
    if not importlib.util.find_spec('mmcv._ext') and importlib.util.find_spec('torchvision'):
        sys.modules['mmcv._ext'] = make_extension()


def make_extension():
    """Return the stand-in module; mmcv and mmengine find it by its name and its spec."""
    extension = types.ModuleType('mmcv._ext', __doc__)
    extension.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', loader=None)
    extension.__getattr__ = missing_operator
    for operator in (nms, softnms, roi_align_forward, roi_align_backward):
        setattr(extension, operator.__name__, operator)
    return extension


def missing_operator(name):
    """Return a function that says how to get the operator, as a module's ``__getattr__``."""
    if name.startswith('__'):
        raise AttributeError(name)

    def operator(*args, **kwargs):
        raise NotImplementedError(
            f"mmcv's operator '{name}' is compiled, and this mmcv was installed without compiled "
            'operators: install mmcv from a wheel or a source build that has them '
            "(MMCV_WITH_OPS=1 pip install --no-build-isolation 'mmcv==2.1.0'; "
            'https://mmcv.readthedocs.io/en/latest/get_started/installation.html)'
        )

    return operator


def nms(boxes, scores, iou_threshold, offset):
    """Return the indices of the boxes that stay, best first, as mmcv's ``nms`` does.

    Args:
        boxes (Tensor): ``(N, 4)``, x1 y1 x2 y2.
        scores (Tensor): ``(N,)``.
        iou_threshold (float): A box goes if its IoU with a better one is above this.
        offset (int): 0, or 1 where the box's last pixel counts: width is ``x2 - x1 + 1``.

    Returns:
        Tensor: ``(K,)``, int64.
    """
    from torchvision.ops import nms

    return nms(_with_last_pixel(boxes, offset), scores, iou_threshold)


def softnms(boxes, scores, dets, iou_threshold, sigma, min_score, method, offset):
    """Lower the scores of overlapping boxes rather than drop them, as mmcv's ``softnms`` does.

    Bodla et al., Soft-NMS, ICCV 2017: weights ``1 - IoU`` (linear) or ``exp(-IoU^2 / sigma)``
    (gaussian) multiply the scores of the boxes that overlap a better one.

    Args:
        boxes (Tensor): ``(N, 4)``, x1 y1 x2 y2.
        scores (Tensor): ``(N,)``.
        dets (Tensor): ``(N, 5)``, filled with the boxes that stay and their new scores.
        iou_threshold (float): Overlap from which naive and linear act.
        sigma (float): Width of the gaussian.
        min_score (float): A box goes when its score falls below this.
        method (int): Index in :data:`METHODS`.
        offset (int): As in :func:`nms`.

    Returns:
        Tensor: ``(K,)``, int64, indices of the boxes that stay, in the order of ``dets``.
    """
    areas = _with_last_pixel(boxes, offset)
    scores = scores.clone()
    from torchvision.ops import box_iou

    left = torch.arange(len(boxes))
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
            weight = (iou < iou_threshold).to(iou)
        scores[left] *= weight
        left = left[scores[left] >= min_score]
    return torch.stack(keep) if keep else left


def roi_align_forward(
    input,
    rois,
    output,
    argmax_y,
    argmax_x,
    aligned_height,
    aligned_width,
    spatial_scale,
    sampling_ratio,
    pool_mode,
    aligned,
):
    """Fill ``output`` ``(K, C, aligned_height, aligned_width)`` with the averages over each RoI.

    ``input`` is ``(N, C, H, W)``, ``rois`` is ``(K, 5)``: index in the batch, x1 y1 x2 y2.
    """
    from torchvision.ops import roi_align

    _check_average(pool_mode)
    size = (aligned_height, aligned_width)
    output.copy_(roi_align(input, rois, size, spatial_scale, sampling_ratio, aligned))


def roi_align_backward(
    grad_output,
    rois,
    argmax_y,
    argmax_x,
    grad_input,
    aligned_height,
    aligned_width,
    spatial_scale,
    sampling_ratio,
    pool_mode,
    aligned,
):
    """Fill ``grad_input`` ``(N, C, H, W)`` with the gradient of :func:`roi_align_forward`."""
    import torchvision  # noqa: F401, brings the operator

    _check_average(pool_mode)
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output,
            rois,
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )


def _check_average(pool_mode):
    if pool_mode != 1:
        missing_operator("roi_align with pool_mode='max'")()


def _with_last_pixel(boxes, offset):
    return torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1) if offset else boxes
