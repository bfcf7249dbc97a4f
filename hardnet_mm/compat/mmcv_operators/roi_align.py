"""RoIAlign: He et al., Mask R-CNN, ICCV 2017.

torchvision averages the samples of a bin, as mmcv does. For the maximum, torchvision computes finer
bins with one sample each.
"""

import torch

from .operator import operator, widened
from .rois import by_grid, check_rois

USING = 'torchvision roi_align'
MAX = 0  # mmcv's number of the pooling; 1 averages
NO_SAMPLE = -10000.0  # what mmcv's maximum of no samples is


@operator(USING, 'compiled, CPU', input='N C H W', rois='K 5', output='K C P Q')
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
    """Fill ``output`` ``(K, C, aligned_height, aligned_width)`` with the average over each bin.

    Args:
        input (Tensor): ``(N, C, H, W)``.
        rois (Tensor): ``(K, 5)``: index in the batch, x1 y1 x2 y2.
        output (Tensor): Filled in place.
        argmax_y (Tensor): Shape of ``output``; for maxima, filled with the row of the sample in
            its bin, for :func:`roi_align_backward`.
        argmax_x (Tensor): The same for the column.
        aligned_height (int): Number of bins along the height.
        aligned_width (int): Number of bins along the width.
        spatial_scale (float): Scale of the map relative to the image.
        sampling_ratio (int): Samples along the side of a bin; 0 for one sample per pixel.
        pool_mode (int): 0 for the maximum of the samples, 1 for their average.
        aligned (bool): Whether pixels' centres lie at their middle.
    """
    from torchvision.ops import roi_align

    size = (aligned_height, aligned_width)
    rois = check_rois('roi_align', rois, len(input), size, spatial_scale, sampling_ratio)
    if pool_mode != MAX:
        pooled = roi_align(
            *_alike(input, rois), size, float(spatial_scale), sampling_ratio, aligned
        )
        output.copy_(pooled)
        return
    for grid, part in _grids(rois, size, spatial_scale, sampling_ratio, aligned):
        if 0 in grid:
            output[part] = NO_SAMPLE
            continue
        fine = (size[0] * grid[0], size[1] * grid[1])
        samples = roi_align(*_alike(input, rois[part]), fine, float(spatial_scale), 1, aligned)
        samples = samples.view(*samples.shape[:2], size[0], grid[0], size[1], grid[1])
        best, index = samples.transpose(3, 4).flatten(4).max(dim=4)
        output[part] = best.to(output)
        argmax_y[part] = torch.div(index, grid[1], rounding_mode='floor').to(argmax_y)
        argmax_x[part] = (index % grid[1]).to(argmax_x)


@operator(USING, 'compiled, CPU', grad_output='K C P Q', rois='K 5', grad_input='N C H W')
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
    size = (aligned_height, aligned_width)
    rois = check_rois('roi_align', rois, len(grad_input), size, spatial_scale, sampling_ratio)
    shape = grad_input.shape
    if pool_mode != MAX:
        grad_input.copy_(
            _scattered(grad_output, rois, spatial_scale, size, shape, sampling_ratio, aligned)
        )
        return
    total = torch.zeros_like(widened(grad_input)[0])
    for grid, part in _grids(rois, size, spatial_scale, sampling_ratio, aligned):
        if 0 in grid:
            continue
        index = (argmax_y[part] * grid[1] + argmax_x[part]).long()
        grads = widened(grad_output[part])[0]
        fine = grads.new_zeros(*grads.shape, grid[0] * grid[1])
        fine.scatter_(4, index[..., None], grads[..., None])
        fine = fine.unflatten(4, grid).transpose(3, 4).flatten(4, 5).flatten(2, 3)
        total += _scattered(
            fine, rois[part], spatial_scale, tuple(fine.shape[2:]), shape, 1, aligned
        )
    grad_input.copy_(total)


def _scattered(grad_output, rois, scale, size, shape, ratio, aligned):
    """Return the gradient of torchvision's averages; 16-bit values are summed in float32."""
    import torchvision  # noqa: F401, brings the operator

    grads, rois = _alike(grad_output, rois)
    return torch.ops.torchvision._roi_align_backward(
        grads.contiguous(), rois, scale, *size, *shape, ratio, aligned
    )


def _alike(features, rois):
    """Return both in one precision. Coordinates in 16 bits would be off by pixels."""
    (features,) = widened(features)
    return features, rois.to(features)


def _grids(rois, size, scale, ratio, aligned):
    sizes = (rois[:, 3:5] - rois[:, 1:3]).flip(1).float() * scale
    return by_grid(rois, size, ratio, sizes if aligned else sizes.clamp(min=1))
