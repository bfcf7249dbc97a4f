"""RoIAlign of rotated regions, and its rotation-invariant form.

Ma et al., Arbitrary-Oriented Scene Text Detection via Rotation Proposals, 2018; Han et al., ReDet:
A Rotation-equivariant Detector for Aerial Object Detection, CVPR 2021.
"""

import math

import torch

from .bilinear import in_steps, pooled
from .operator import gradients, operator, widened
from .rois import OUTSIDE, along, by_grid, check_rois

USING = 'bilinear samples, embedding_bag'
REFERENCE = 'its CUDA kernel, compiled for a CPU; gradcheck'


@operator(USING, 'compiled, CPU', slow=True, input='N C H W', rois='K 6', output='K C P Q')
def roi_align_rotated_forward(
    input,
    rois,
    output,
    pooled_height,
    pooled_width,
    spatial_scale,
    sampling_ratio,
    aligned,
    clockwise,
):
    """Fill ``output`` ``(K, C, pooled_height, pooled_width)`` with the average over each bin.

    Args:
        input (Tensor): ``(N, C, H, W)``.
        rois (Tensor): ``(K, 6)``: index in the batch, centre x and y, width, height, angle in
            radians.
        output (Tensor): Filled in place.
        pooled_height (int): Number of bins along the height.
        pooled_width (int): Number of bins along the width.
        spatial_scale (float): Scale of the map relative to the image.
        sampling_ratio (int): Samples along the side of a bin; 0 for one sample per pixel.
        aligned (bool): Whether pixels' centres lie at their middle.
        clockwise (bool): Whether angles turn from x to y, as in an image.
    """
    settings = (pooled_height, pooled_width), spatial_scale, sampling_ratio, aligned, clockwise
    for pool, part in _pools('roi_align_rotated', *widened(input, rois), settings):
        output[part] = pool(*widened(input)).to(output)


@operator(
    USING, 'compiled, CPU', slow=True, grad_output='K C P Q', rois='K 6', grad_input='N C H W'
)
def roi_align_rotated_backward(
    grad_output,
    rois,
    grad_input,
    pooled_height,
    pooled_width,
    spatial_scale,
    sampling_ratio,
    aligned,
    clockwise,
):
    """Fill ``grad_input`` with the gradient of :func:`roi_align_rotated_forward`."""
    settings = (pooled_height, pooled_width), spatial_scale, sampling_ratio, aligned, clockwise
    (zeros,) = widened(torch.zeros_like(grad_input))
    total = zeros.clone()
    for pool, part in _pools('roi_align_rotated', zeros, *widened(rois), settings):
        total += gradients(pool, [zeros], grad_output[part].to(zeros))[0]
    grad_input.copy_(total)


@operator(USING, REFERENCE, slow=True, features='N C H W', rois='K 6', output='K C P Q')
def riroi_align_rotated_forward(
    features,
    rois,
    output,
    pooled_height,
    pooled_width,
    spatial_scale,
    num_samples,
    num_orientations,
    clockwise,
):
    """Do the same as :func:`roi_align_rotated_forward`, with orientations relative to the region.

    Args:
        features (Tensor): ``(N, C, H, W)``. Each group of ``num_orientations`` channels is one
            feature in as many orientations.
        rois (Tensor): ``(K, 6)``, as in that function.
        output (Tensor): ``(K, C, pooled_height, pooled_width)``, filled in place.
        pooled_height (int): Number of bins along the height.
        pooled_width (int): Number of bins along the width.
        spatial_scale (float): Scale of the map relative to the image.
        num_samples (int): Samples along the side of a bin; 0 for one sample per pixel.
        num_orientations (int): Number of orientations.
        clockwise (bool): Whether angles turn from x to y, as in an image.
    """
    name = 'riroi_align_rotated'
    _check_orientations(name, features, num_orientations)
    settings = (pooled_height, pooled_width), spatial_scale, num_samples, False, clockwise
    wide, boxes = widened(features, rois)
    for pool, part in _pools(name, wide, boxes, settings):
        output[part] = _turned(pool(wide), boxes[part, 5], num_orientations).to(output)


@operator(USING, REFERENCE, slow=True, top_grad='K C P Q', rois='K 6', bottom_grad='N C H W')
def riroi_align_rotated_backward(
    top_grad,
    rois,
    bottom_grad,
    pooled_height,
    pooled_width,
    spatial_scale,
    num_samples,
    num_orientations,
    clockwise,
):
    """Fill ``bottom_grad`` with the gradient of :func:`riroi_align_rotated_forward`."""
    name = 'riroi_align_rotated'
    _check_orientations(name, bottom_grad, num_orientations)
    settings = (pooled_height, pooled_width), spatial_scale, num_samples, False, clockwise
    zeros, boxes = widened(torch.zeros_like(bottom_grad), rois)
    total = zeros.clone()
    for pool, part in _pools(name, zeros, boxes, settings):

        def turned(features, pool=pool, part=part):
            return _turned(pool(features), boxes[part, 5], num_orientations)

        total += gradients(turned, [zeros], top_grad[part].to(zeros))[0]
    bottom_grad.copy_(total)


def _pools(name, features, rois, settings):
    """Yield functions that pool some of the regions, and the indices of these."""
    bins, scale, ratio, aligned, clockwise = settings
    rois = check_rois(name, rois, len(features), bins, scale, ratio, rotated=True).to(features)
    sizes = rois[:, 3:5] * scale
    if not aligned:
        sizes = sizes.clamp(min=1)
    elif rois.device.type == 'cpu' and (sizes[rois[:, 1] > OUTSIDE] < 0).any():
        raise RuntimeError(f'{name}: a RoI must not have a negative size, got {sizes.min():g}')
    centres = rois[:, 1:3] * scale - (0.5 if aligned else 0)
    angles = -rois[:, 5] if clockwise else rois[:, 5]
    for grid, indices in by_grid(rois, bins, ratio, sizes.flip(1)):
        numbers = bins[0] * bins[1] * max(features.shape[1], 4 * grid[0] * grid[1])
        for step in in_steps(len(indices), numbers):
            part = indices[step]
            y, x = _positions(centres[part], sizes[part], angles[part], bins, grid)
            yield _pool(rois[part, 0], y, x, bins), part


def _positions(centre, size, angle, bins, grid):
    """Return y and x of the samples of regions, ``(K, bins, samples of a bin)``."""
    across = along(-size[:, 0] / 2, size[:, 0], bins[1], grid[1])[:, None, :, None, :]
    down = along(-size[:, 1] / 2, size[:, 1], bins[0], grid[0])[:, :, None, :, None]
    cos, sin, x, y = (
        number.view(-1, 1, 1, 1, 1) for number in (angle.cos(), angle.sin(), *centre.unbind(dim=1))
    )
    y, x = down * cos - across * sin + y, down * sin + across * cos + x
    return y.flatten(3).flatten(1, 2), x.flatten(3).flatten(1, 2)


def _pool(image, y, x, bins):
    def pool(features):
        return pooled(features, image, y, x).transpose(1, 2).unflatten(2, bins)

    return pool


def _check_orientations(name, features, orientations):
    if orientations < 1 or features.shape[1] % orientations:
        raise RuntimeError(
            f'{name}: num_orientations must divide the {features.shape[1]} channels, got '
            f'{orientations}'
        )


def _turned(values, angles, orientations):
    """Return pooled features ``(K, C, P, Q)``, with orientations relative to the region's."""
    values = values.unflatten(1, (-1, orientations))
    steps = angles * orientations / (2 * math.pi)
    whole = steps.floor()
    part = (steps - whole).view(-1, 1, 1, 1, 1)
    order = torch.arange(orientations, device=values.device) - whole.long()[:, None]

    def taken(index):
        index = (index % orientations)[:, None, :, None, None]
        return values.gather(2, index.expand_as(values))

    return (taken(order) * (1 - part) + taken(order + 1) * part).flatten(1, 2)
