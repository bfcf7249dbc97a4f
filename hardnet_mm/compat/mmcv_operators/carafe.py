"""CARAFE: Wang et al., Content-Aware ReAssembly of FEatures, ICCV 2019.

Each pixel of the larger map is a weighted sum of a square of pixels of the smaller map, with its
own weights. mmcv has two operators for this.
"""

import torch
from torch.nn.functional import pad

from .operator import operator, widened

USING = 'a sum over the taps'
REFERENCE = 'float64 from the paper; gradcheck'


@operator(USING, REFERENCE, slow=True, features='N C H W', masks='N M P Q', output='N C P Q')
def carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor):
    """Fill ``output`` ``(N, C, scale_factor H, scale_factor W)``.

    Args:
        features (Tensor): ``(N, C, H, W)``.
        masks (Tensor): ``(N, group_size kernel_size^2, scale_factor H, scale_factor W)``.
        output (Tensor): Filled in place.
        kernel_size (int): Side of the square, odd.
        group_size (int): Number of groups of channels, each with its own weights.
        scale_factor (int): Factor by which the output is larger.
    """
    output.copy_(reassembled(features, masks, kernel_size, group_size, scale_factor))


@operator(USING, REFERENCE, slow=True, features='N C H W', masks='N M P Q', output='N C P Q')
def carafe_forward(
    features, masks, rfeatures, routput, rmasks, output, kernel_size, group_size, scale_factor
):
    """Fill ``output`` as :func:`carafe_naive_forward` does, and ``rfeatures`` for the gradient."""
    output.copy_(reassembled(features, masks, kernel_size, group_size, scale_factor))
    rfeatures.copy_(features)


@operator(USING, REFERENCE, slow=True, top_grad='N C P Q', features='N C H W', masks='N M P Q')
def carafe_naive_backward(
    top_grad, features, masks, bottom_grad, mask_grad, kernel_size, group_size, scale_factor
):
    """Fill ``bottom_grad`` and ``mask_grad``, the gradients of features and masks."""
    fill_gradients(
        top_grad, features, masks, bottom_grad, mask_grad, kernel_size, group_size, scale_factor
    )


@operator(USING, REFERENCE, slow=True, top_grad='N C P Q', rfeatures='N C H W', masks='N M P Q')
def carafe_backward(
    top_grad,
    rfeatures,
    masks,
    rtop_grad,
    rbottom_grad_hs,
    rbottom_grad,
    rmask_grad,
    bottom_grad,
    mask_grad,
    kernel_size,
    group_size,
    scale_factor,
):
    """Fill the gradients as :func:`carafe_naive_backward` does."""
    fill_gradients(
        top_grad, rfeatures, masks, bottom_grad, mask_grad, kernel_size, group_size, scale_factor
    )


def reassembled(features, masks, kernel_size, group_size, scale_factor):
    """Return the larger map, as :func:`carafe_naive_forward` fills it."""
    check_sizes('carafe', features, masks, kernel_size, group_size, scale_factor)
    features, masks = widened(features, masks)
    total = 0
    for _, window, weight in _taps(features, masks, kernel_size, group_size, scale_factor):
        total = total + window * weight
    return total.reshape(*features.shape[:2], *masks.shape[2:])


def fill_gradients(
    top_grad, features, masks, bottom_grad, mask_grad, kernel_size, group_size, scale_factor
):
    """Fill the gradients of features and masks."""
    check_sizes('carafe', features, masks, kernel_size, group_size, scale_factor)
    grad_output, wide_features, wide_masks = widened(top_grad, features, masks)
    images, channels, height, width = features.shape
    grad = grad_output.view(
        images, group_size, channels // group_size, height, scale_factor, width, scale_factor
    )
    around = kernel_size // 2
    padded = pad(torch.zeros_like(wide_features), [around] * 4)
    grad_masks = torch.zeros_like(wide_masks).view(
        images, group_size, kernel_size**2, *masks.shape[2:]
    )
    taps = _taps(wide_features, wide_masks, kernel_size, group_size, scale_factor)
    for (down, along), window, weight in taps:
        place = padded[:, :, down : down + height, along : along + width]
        place += (grad * weight).sum(dim=(4, 6)).flatten(1, 2)
        grad_masks[:, :, down * kernel_size + along] = (
            (grad * window).sum(dim=2).view_as(grad_masks[:, :, 0])
        )
    bottom_grad.copy_(padded[:, :, around : around + height, around : around + width])
    mask_grad.copy_(grad_masks.flatten(1, 2))


def check_sizes(name, features, masks, kernel_size, group_size, scale_factor):
    """Raise an error if sizes do not match."""
    if min(kernel_size, group_size, scale_factor) < 1 or kernel_size % 2 == 0:
        raise RuntimeError(
            f'{name}: the kernel must be odd, groups and scale at least 1, got {kernel_size}, '
            f'{group_size} and {scale_factor}'
        )
    images, channels, height, width = features.shape
    wanted = (kernel_size**2 * group_size, scale_factor * height, scale_factor * width)
    if tuple(masks.shape[1:]) != wanted or channels % group_size:
        raise RuntimeError(
            f'{name}: masks must have the shape {(images, *wanted)} and features a multiple of '
            f'{group_size} channels, got {tuple(masks.shape)} and {channels} channels'
        )


def _taps(features, masks, kernel_size, group_size, scale_factor):
    """Yield the index of each tap, and its features and weights, which can be multiplied.

    Both have seven dimensions: image, group, channel in it, height, its part, width, its part.
    """
    images, channels, height, width = features.shape
    padded = pad(features, [kernel_size // 2] * 4)
    shape = (images, group_size, kernel_size**2, height, scale_factor, width, scale_factor)
    weights = masks.reshape(shape)
    for down in range(kernel_size):
        for along in range(kernel_size):
            window = padded[:, :, down : down + height, along : along + width]
            window = window.reshape(images, group_size, channels // group_size, height, 1, width, 1)
            tap = down * kernel_size + along
            yield (down, along), window, weights[:, :, tap : tap + 1]
