"""Border align: Qiu et al., BorderDet, ECCV 2020."""

import torch

from .bilinear import corners, in_steps, sample
from .operator import operator, widened

USING = 'bilinear samples, max'
REFERENCE = 'float64 from the paper; gradcheck'
# Sides in mmcv's order: top, left, bottom, right. The first two start at a box's first corner and
# go right and down, the others at its second and go left and up.
SIDES = ((1, 0), (0, 1), (-1, 0), (0, -1))


@operator(USING, REFERENCE, slow=True, input='N C H W', boxes='N K 4', output='N D K 4')
def border_align_forward(input, boxes, output, argmax_idx, pool_size):
    """Fill ``output`` ``(N, C / 4, K, 4)`` with the maximum features along each side of each box.

    Args:
        input (Tensor): ``(N, C, H, W)``, with a quarter of the channels for each side.
        boxes (Tensor): ``(N, K, 4)``, x1 y1 x2 y2, in pixels of the map.
        output (Tensor): Filled in place.
        argmax_idx (Tensor): Shape of ``output``, int32, filled with the index of the sample.
        pool_size (int): Number of samples along a side, minus one.
    """
    input_, boxes = widened(input, boxes)
    channels = output.shape[1]
    steps = torch.arange(pool_size + 1, device=boxes.device, dtype=boxes.dtype)
    for image, features in enumerate(input_):
        for part in in_steps(boxes.shape[1], 4 * (pool_size + 1) * channels):
            for side in range(4):
                x, y = _positions(boxes[image, part], side, steps, pool_size)
                zeros = torch.zeros(len(x), dtype=torch.long, device=x.device)
                chosen = features[None, side * channels : (side + 1) * channels]
                best, index = sample(chosen, zeros, y, x).max(dim=1)  # of K, P, C
                output[image, :, part, side] = best.t().to(output)
                argmax_idx[image, :, part, side] = index.t().to(argmax_idx)


@operator(USING, REFERENCE, slow=True, grad_output='N D K 4', boxes='N K 4', grad_input='N C H W')
def border_align_backward(grad_output, boxes, argmax_idx, grad_input, pool_size):
    """Fill ``grad_input`` with the gradient of :func:`border_align_forward`."""
    wide, boxes = widened(grad_output, boxes)
    channels, size = wide.shape[1], grad_input.shape[2:]
    total = torch.zeros_like(grad_input, dtype=wide.dtype).flatten(2)
    for side in range(4):
        x, y = _positions(boxes[:, None], side, argmax_idx[..., side, None].to(boxes), pool_size)
        place = total[:, side * channels : (side + 1) * channels]
        for index, weight in corners(y[..., 0], x[..., 0], *size):
            place.scatter_add_(2, index, wide[..., side] * weight)
    grad_input.copy_(total.view_as(grad_input))


def _positions(boxes, side, steps, pool_size):
    """Return x and y of samples of one side, of shape ``(*boxes.shape[:-1], *steps.shape)``."""
    first, last = boxes[..., :2], boxes[..., 2:]
    start = (first if side < 2 else last)[..., None]
    size = (last - first)[..., None] / pool_size
    return tuple(
        start[..., axis, :] + SIDES[side][axis] * size[..., axis, :] * steps for axis in (0, 1)
    )
