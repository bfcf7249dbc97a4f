"""Deformable RoI pooling: Dai et al., Deformable Convolutional Networks, ICCV 2017."""

import torch

from .bilinear import in_steps, sample
from .operator import gradients, operator, widened
from .rois import along, by_grid, check_rois

USING = 'bilinear samples, mean'
REFERENCE = 'float64 from the paper; gradcheck'


@operator(USING, REFERENCE, slow=True, input='N C H W', rois='K 5', output='K C P Q')
def deform_roi_pool_forward(
    input,
    rois,
    offset,
    output,
    pooled_height,
    pooled_width,
    spatial_scale,
    sampling_ratio,
    gamma,
):
    """Fill ``output`` ``(K, C, pooled_height, pooled_width)`` with averages over shifted bins.

    Args:
        input (Tensor): ``(N, C, H, W)``.
        rois (Tensor): ``(K, 5)``: index in the batch, x1 y1 x2 y2.
        offset (Tensor): ``(K, 2, pooled_height, pooled_width)``, shifts of the bins in x and y,
            relative to the size of the RoI; or empty.
        output (Tensor): Filled in place.
        pooled_height (int): Number of bins along the height.
        pooled_width (int): Number of bins along the width.
        spatial_scale (float): Scale of the map relative to the image.
        sampling_ratio (int): Samples along the side of a bin; 0 for one sample per pixel.
        gamma (float): Factor of the offsets.
    """
    settings = (pooled_height, pooled_width), spatial_scale, sampling_ratio, gamma
    for pool, part, operands in _pools(input, rois, offset, settings):
        output[part] = pool(*operands).to(output)


@operator(USING, REFERENCE, slow=True, grad_output='K C P Q', input='N C H W', rois='K 5')
def deform_roi_pool_backward(
    grad_output,
    input,
    rois,
    offset,
    grad_input,
    grad_offset,
    pooled_height,
    pooled_width,
    spatial_scale,
    sampling_ratio,
    gamma,
):
    """Fill ``grad_input`` and ``grad_offset``, the gradients of :func:`deform_roi_pool_forward`."""
    settings = (pooled_height, pooled_width), spatial_scale, sampling_ratio, gamma
    total = torch.zeros_like(widened(input)[0])
    for pool, part, operands in _pools(input, rois, offset, settings):
        grads = gradients(pool, operands, grad_output[part].to(total))
        total += grads[0]
        if offset.numel():
            grad_offset[part] = grads[1].to(grad_offset)
    grad_input.copy_(total)


def _pools(input, rois, offset, settings):
    """Yield functions that pool some of the RoIs, the indices of these, and the arguments."""
    pooled, scale, ratio, gamma = settings
    if offset.numel() and tuple(offset.shape) != (len(rois), 2, *pooled):
        raise RuntimeError(
            f'deform_roi_pool: offset must have the shape {(len(rois), 2, *pooled)} or be empty, '
            f'got {tuple(offset.shape)}'
        )
    if not len(rois):
        return
    rois = check_rois('deform_roi_pool', rois, len(input), pooled, scale, ratio)
    input, boxes, offset = widened(input, rois, offset)
    starts = boxes[:, 1:3] * scale - 0.5
    sizes = boxes[:, 3:5] * scale - 0.5 - starts
    for grid, indices in by_grid(boxes, pooled, ratio, sizes.flip(1)):
        numbers = input.shape[1] * pooled[0] * pooled[1] * grid[0] * grid[1]
        for step in in_steps(len(indices), numbers):
            part = indices[step]
            pool = _pool(boxes[part, 0], starts[part], sizes[part], pooled, grid, gamma)
            yield pool, part, (input, *([offset[part]] if offset.numel() else []))


def _pool(image, start, size, pooled, grid, gamma):
    def pool(features, offset=None):
        if 0 in grid:
            zero = (features * 0).sum() + (0 if offset is None else (offset * 0).sum())
            return zero.expand(len(image), features.shape[1], *pooled)
        x = along(start[:, 0], size[:, 0], pooled[1], grid[1])[:, None, :, None, :]
        y = along(start[:, 1], size[:, 1], pooled[0], grid[0])[:, :, None, :, None]
        if offset is not None:
            x = x + (gamma * size[:, 0, None, None] * offset[:, 0])[..., None, None]
            y = y + (gamma * size[:, 1, None, None] * offset[:, 1])[..., None, None]
        x, y = torch.broadcast_tensors(x, y)  # K, pooled, pooled, grid, grid
        values = sample(features, image, y.flatten(1), x.flatten(1))
        values = values.view(*x.shape[:3], -1, values.shape[-1]).mean(dim=3)
        return values.permute(0, 3, 1, 2)

    return pool
