"""Active rotating filters: Han et al., Align Deep Features for Oriented Object Detection, 2020."""

import torch

from .operator import operator, widened

USING = 'gather, scatter'


@operator(USING, 'compiled, CPU', input='O I D H W', output='P Q H W')
def active_rotated_filter_forward(input, indices, output):
    """Fill ``output`` ``(O R, I D, H, W)`` with each filter in R rotations.

    Args:
        input (Tensor): ``(O, I, D, H, W)``, filters of D orientations.
        indices (Tensor): ``(D, H, W, R)``, int32: destination of a value in each rotation, from 1.
        output (Tensor): Filled in place.
    """
    places = _places('active_rotated_filter_forward', indices, input, output)
    filters = input.flatten(2)[:, None].expand(-1, len(places), -1, -1)  # O, R, I, D H W
    turned = torch.zeros_like(filters)
    turned.scatter_(3, places[:, None].expand_as(filters), filters)
    output.copy_(turned.reshape(output.shape))


@operator(USING, 'compiled, CPU', grad_out='P Q H W', grad_in='O I D H W')
def active_rotated_filter_backward(grad_out, indices, grad_in):
    """Fill ``grad_in`` with the gradient of :func:`active_rotated_filter_forward`."""
    places = _places('active_rotated_filter_backward', indices, grad_in, grad_out)
    (grads,) = widened(grad_out)
    shape = grad_in.flatten(2).shape
    grads = grads.reshape(shape[0], len(places), *shape[1:])
    grads = grads.gather(3, places[:, None].expand_as(grads)).sum(dim=1)
    grad_in.copy_(grads.view_as(grad_in))


def _places(name, indices, filters, turned):
    """Return the destinations of a filter's values in each rotation, ``(R, D H W)``, from 0."""
    out, into, *entries = filters.shape
    if indices.dtype != torch.int32 or tuple(indices.shape[:-1]) != tuple(entries):
        raise RuntimeError(
            f'{name}: indices must be int32 of the shape ({", ".join(map(str, entries))}, R), got '
            f'{indices.dtype} {tuple(indices.shape)}'
        )
    rotations = indices.shape[-1]
    if tuple(turned.shape[:2]) != (out * rotations, into * entries[0]):
        raise RuntimeError(
            f'{name}: rotated filters must have the shape '
            f'{(out * rotations, into * entries[0], *entries[1:])}, got {tuple(turned.shape)}'
        )
    places = indices.long().flatten(0, 2).t() - 1
    size = places.shape[1]
    if places.device.type == 'cpu' and not ((places >= 0) & (places < size)).all():
        raise RuntimeError(
            f'{name}: indices must be 1 to {size}, got {indices.min()} to {indices.max()}'
        )
    return places
