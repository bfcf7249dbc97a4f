"""RoIPool: Girshick, Fast R-CNN, ICCV 2015. The bins are mmcv's, which torchvision's are not."""

import torch

from .operator import operator
from .rois import check_rois

REFERENCE = 'float64 from the definition; gradcheck'


@operator('max over slices', REFERENCE, slow=True, input='N C H W', rois='K 5', output='K C P Q')
def roi_pool_forward(input, rois, output, argmax, pooled_height, pooled_width, spatial_scale):
    """Fill ``output`` ``(K, C, pooled_height, pooled_width)`` with the maximum of each bin.

    A bin includes every pixel that it touches. The RoI ends one pixel after its second corner.

    Args:
        input (Tensor): ``(N, C, H, W)``.
        rois (Tensor): ``(K, 5)``: index in the batch, x1 y1 x2 y2.
        output (Tensor): Filled in place.
        argmax (Tensor): Shape of ``output``, int32, filled with the index of the pixel in the map;
            -1 for an empty bin.
        pooled_height (int): Number of bins along the height.
        pooled_width (int): Number of bins along the width.
        spatial_scale (float): Scale of the map relative to the image.
    """
    rois = check_rois('roi_pool', rois, len(input))
    height, width = input.shape[2:]
    edges = rois[:, 1:] * spatial_scale
    edges[:, 2:] = (rois[:, 3:] + 1) * spatial_scale
    columns = _bins(edges[:, 0], edges[:, 2], pooled_width, width)
    rows = _bins(edges[:, 1], edges[:, 3], pooled_height, height)
    output.zero_()
    argmax.fill_(-1)
    for roi, image in enumerate(rois[:, 0].long().tolist()):
        across = [_largest(input[image], 2, *edge) for edge in columns[roi]]
        if 0 in input.shape[1:] or all(part is None for part in across):
            continue
        for column, part in enumerate(across):
            if part is None:
                continue
            for row, (first, last) in enumerate(rows[roi]):
                if first < last:
                    value, index = part[0][:, first:last].max(dim=1)
                    index = index + first
                    output[roi, :, row, column] = value
                    at = part[1].gather(1, index[:, None])[:, 0]
                    argmax[roi, :, row, column] = (index * width + at).to(argmax)


@operator('scatter', REFERENCE, slow=True, grad_output='K C P Q', rois='K 5', grad_input='N C H W')
def roi_pool_backward(
    grad_output, rois, argmax, grad_input, pooled_height, pooled_width, spatial_scale
):
    """Add each bin's gradient to ``grad_input`` at the pixel with the maximum."""
    rois = check_rois('roi_pool', rois, len(grad_input))
    channels, pixels = grad_input.shape[1], grad_input.shape[2] * grad_input.shape[3]
    chosen = argmax.flatten(2).long()
    channel = torch.arange(channels, device=chosen.device)[:, None]
    place = (rois[:, 0].long()[:, None, None] * channels + channel) * pixels + chosen
    there = chosen >= 0
    total = torch.zeros_like(grad_input).flatten()
    total.index_add_(0, place[there], grad_output.flatten(2)[there])
    grad_input.add_(total.view_as(grad_input))


def _bins(start, end, bins, size):
    """Return the first pixel of each bin and the one after its last, as numbers."""
    extent = end - start
    steps = torch.arange(bins + 1, device=start.device, dtype=start.dtype)
    edges = steps * (extent / bins)[:, None] + start[:, None]
    edges = torch.where(extent[:, None] > 0, edges, torch.full_like(edges, -1))
    first = edges[:, :-1].floor().clamp(0, size).long()
    last = edges[:, 1:].ceil().clamp(0, size).long()
    return torch.stack([first, last], dim=-1).tolist()


def _largest(features, dim, first, last):
    """Return the maximum features of a range and their indices; None for an empty range."""
    if first >= last:
        return None
    values, index = features.narrow(dim, first, last - first).max(dim=dim)
    return values, index + first
