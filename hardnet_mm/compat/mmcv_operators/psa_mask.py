"""The mask of point-wise spatial attention: Zhao et al., PSANet, ECCV 2018."""

import torch

from .operator import operator

USING = 'gather, scatter'
COLLECT = 0  # mmcv's number of the type; the other one distributes


@operator(USING, 'compiled, CPU', input='N M H W', output='N L H W')
def psamask_forward(
    input, output, psa_type, num_, h_feature, w_feature, h_mask, w_mask, half_h_mask, half_w_mask
):
    """Fill ``output`` ``(N, H W, H, W)`` with the attention from or to every other pixel.

    Args:
        input (Tensor): ``(N, h_mask w_mask, H, W)``, each pixel's mask over its neighbourhood.
        output (Tensor): Filled in place; zero where a mask does not reach.
        psa_type (int): 0 if a pixel's mask is in its column of ``output``, else in its row.
        num_ (int): N.
        h_feature (int): H.
        w_feature (int): W.
        h_mask (int): Height of a mask.
        w_mask (int): Width of a mask.
        half_h_mask (int): Row of a mask that is the pixel's own.
        half_w_mask (int): Column of the same.
    """
    index, reached = _places(
        input, h_feature, w_feature, (h_mask, w_mask), (half_h_mask, half_w_mask)
    )
    pairs = input.flatten(2).gather(1, index.expand(len(input), -1, -1)) * reached
    output.copy_((pairs if psa_type == COLLECT else pairs.transpose(1, 2)).reshape(output.shape))


@operator(USING, 'compiled, CPU', grad_output='N L H W', grad_input='N M H W')
def psamask_backward(
    grad_output,
    grad_input,
    psa_type,
    num_,
    h_feature,
    w_feature,
    h_mask,
    w_mask,
    half_h_mask,
    half_w_mask,
):
    """Fill ``grad_input`` with the gradient of :func:`psamask_forward`."""
    index, reached = _places(
        grad_input, h_feature, w_feature, (h_mask, w_mask), (half_h_mask, half_w_mask)
    )
    pairs = grad_output.flatten(2)
    pairs = (pairs if psa_type == COLLECT else pairs.transpose(1, 2)) * reached
    grads = torch.zeros_like(grad_input).flatten(2)
    grads.scatter_add_(1, index.expand(len(pairs), -1, -1), pairs)
    grad_input.copy_(grads.view_as(grad_input))


def _places(masks, height, width, size, half):
    """Return the index of each other pixel in a pixel's mask, and whether it is in the mask."""
    if tuple(masks.shape[1:]) != (size[0] * size[1], height, width):
        raise RuntimeError(
            f'psamask: masks must have the shape {(len(masks), size[0] * size[1], height, width)}, '
            f'got {tuple(masks.shape)}'
        )
    pixels = torch.arange(height * width, device=masks.device)
    row = (pixels // max(width, 1))[:, None] - pixels // max(width, 1) + half[0]
    column = (pixels % max(width, 1))[:, None] - pixels % max(width, 1) + half[1]
    reached = (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
    return (row * size[1] + column) * reached, reached
