"""CenterNet-HarDNet's training targets: all positions near a centre learn size and offset.

Lengths are in positions: 1 is the distance between two neighbouring positions of the heatmap.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..utils.errors import InputError

MIN_OVERLAP = 0.7
PAIRS_AT_ONCE = 2**17  # pairs of a box and a position: some 45 MB of intermediate tensors


def gaussian_radius(sides: Tensor) -> Tensor:
    """Return the radius in positions, ``(K,)`` int64, of the heatmap's Gaussians.

    If the corners of a box move by less than the radius, its IoU with the old box is at least 0.7.
    CornerNet (Law and Deng, 2018) solves this for three ways of moving the corners, and takes the
    smallest radius. That is always the third one. It is computed here as in the original program
    (utils/image.py), which divides by 2 where the quadratic formula divides by 2a.

    Args:
        sides (Tensor): Widths and heights in positions, ``(K, 2)``.
    """
    width, height = sides.double().ceil().unbind(1)
    b = 2 * MIN_OVERLAP * (width + height)
    root = (b**2 + 16 * MIN_OVERLAP * (1 - MIN_OVERLAP) * width * height).sqrt()
    return ((root - b) / 2).floor().long()


def keep_visible(sides: Tensor, whole_sides: Tensor) -> Tensor:
    """Return which boxes are visible enough to be learned.

    Both in width and in height, more than 2 positions or more than half of the box must be visible.

    Args:
        sides (Tensor): Visible widths and heights in positions, ``(K, 2)``.
        whole_sides (Tensor): Complete widths and heights in positions, ``(K, 2)``.

    Returns:
        Tensor: bool, ``(K,)``.
    """
    return ((sides > 2) | (sides / (whole_sides + 0.01) > 0.5)).all(dim=1)


def dense_targets(
    boxes: Sequence[Tensor], labels: Sequence[Tensor], num_classes: int, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw the targets of a batch (PingoLH/CenterNet-HarDNet, sample/ctdet.py, utils/image.py).

    Each box has a square of positions around its centre, up to r away along x and along y, where r
    is :func:`gaussian_radius`. In the square the heatmap is a Gaussian with a sigma of
    (2r + 1) / 6. Size and offset are weighted by a Gaussian with a sigma of (2r + 1) / 24, divided
    by its sum. Where squares overlap, the heatmap is the larger value. Size and offset are those of
    the box with the larger weight, or of the later box if weights are equal. Outside of all squares
    everything is zero.

    The time depends on the number of positions in the squares, the memory only on the size of the
    maps: see :func:`pairs`. A GPU is synchronised once, for the sizes of the squares, which
    determine shapes.

    Args:
        boxes (Sequence[Tensor]): Boxes of each image, ``(K, 4)`` as x1, y1, x2, y2 in positions.
            Parts outside the map are cut off.
        labels (Sequence[Tensor]): Classes of each image's boxes, int64 ``(K,)``.
        num_classes (int): Number of classes.
        height (int): Height of the map in positions.
        width (int): Width of the map in positions.

    Returns:
        tuple[Tensor]: The heatmap ``(N, num_classes, height, width)``, widths and heights in
        positions ``(N, 2, height, width)``, offsets x, y from the position to the centre in
        positions likewise, and the weights of both ``(N, height, width)``.

    Raises:
        ValueError: If a label is not in 0..num_classes - 1.
    """
    images = torch.cat([torch.full_like(each, i) for i, each in enumerate(labels)]).long()
    shape = (len(boxes), height, width)
    # K from here on: the boxes of all images
    all_boxes, classes = torch.cat(tuple(boxes)), torch.cat(tuple(labels)).long()
    sides, centers, keep = visible_parts(all_boxes, height, width)
    middles = clamp_to_map(centers.floor().long(), height - 1, width - 1)
    radii = gaussian_radius(sides)
    low, extents = visible_squares(middles, radii, keep, height, width)
    counts, known_labels = known_numbers(extents.prod(dim=1), classes)
    check_labels(known_labels, num_classes)

    reach = max(height, width)  # no radius is larger
    peaks = gaussian_table(reach, 6, all_boxes)
    weights = gaussian_table(reach, 24, all_boxes)
    totals = weights.sum(dim=1) ** 2

    heatmap = all_boxes.new_zeros(shape[0] * num_classes * height * width)
    weight = all_boxes.new_zeros(shape[0] * height * width)
    # the box whose size and offset each position learns
    winner = classes.new_full(weight.shape, -1)
    planes = images * num_classes + classes
    in_table = low - middles + reach  # where the squares begin in the tables
    of_boxes = torch.stack([planes, images, radii, *low.T, *in_table.T], dim=1)  # (K, 7)
    for box, column, row in pairs(extents, counts):
        plane, image, radius, left, top, x, y = of_boxes.index_select(0, box).unbind(1)  # (P,) each
        left, top, x, y = left + column, top + row, x + column, y + row
        position = (plane * height + top) * width + left
        heatmap.scatter_reduce_(0, position, peaks[radius, y] * peaks[radius, x], 'amax')

        position = (image * height + top) * width + left
        value = weights[radius, y] * weights[radius, x] / totals[radius]
        weight.scatter_reduce_(0, position, value, 'amax')
        # Boxes come in order, so that of equals the largest index is the latest box's.
        best = torch.where(value == weight[position], box, -1)
        winner.scatter_reduce_(0, position, best, 'amax')

    size, offset = learned_by_winners(sides, centers, winner.view(shape))
    return heatmap.view(shape[0], num_classes, height, width), size, offset, weight.view(shape)


def clamp_to_map(points: Tensor, height: int, width: int) -> Tensor:
    """Clamp ``(..., 2)`` as x, y to 0..width and 0..height."""
    x, y = points.unbind(dim=-1)
    return torch.stack([x.clamp(0, width), y.clamp(0, height)], dim=-1)


def visible_parts(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Clip boxes to the map.

    Args:
        boxes (Tensor): ``(K, 4)`` as x1, y1, x2, y2 in positions.
        height (int): Height of the map in positions.
        width (int): Width of the map in positions.

    Returns:
        tuple[Tensor]: Widths and heights ``(K, 2)``, centres ``(K, 2)``, and whether enough of the
        box is visible, bool ``(K,)``.
    """
    corners = boxes.view(-1, 2, 2)
    low, high = clamp_to_map(corners, height, width).unbind(dim=1)
    keep = keep_visible(high - low, corners[:, 1] - corners[:, 0])
    return high - low, (low + high) / 2, keep


def visible_squares(
    middles: Tensor, radii: Tensor, keep: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Return the part inside the map of the squares around positions.

    Args:
        middles (Tensor): The centres' positions x, y, int64 ``(K, 2)``.
        radii (Tensor): int64 ``(K,)``.
        keep (Tensor): bool ``(K,)``; the square is empty if it is false.
        height (int): Height of the map in positions.
        width (int): Width of the map in positions.

    Returns:
        tuple[Tensor]: The first positions x, y, and the widths and heights, int64 ``(K, 2)``.
    """
    radii = radii[:, None]
    low = clamp_to_map(middles - radii, height, width)
    high = clamp_to_map(middles + radii + 1, height, width)
    return low, (high - low) * keep[:, None]


def gaussian_table(reach: int, share: int, like: Tensor) -> Tensor:
    """Tabulate the Gaussians with a sigma of (2r + 1) / share, cut off at r.

    Returns:
        Tensor: ``(reach + 1, 2 * reach + 1)``, a row for each r from 0, its columns the distances
        -reach..reach; of the type and on the device of ``like``.
    """
    layout = dict(dtype=like.dtype, device=like.device)
    radius = torch.arange(reach + 1, **layout)[:, None]
    distance = torch.arange(-reach, reach + 1, **layout)
    values = torch.exp(-(distance**2) / (2 * ((2 * radius + 1) / share) ** 2))
    return values * (distance.abs() <= radius)


def known_numbers(*tensors: Tensor) -> np.ndarray:
    """Return int64 tensors of one shape as NumPy arrays; a GPU is synchronised once for all."""
    return torch.stack(tensors).cpu().numpy()


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """Raise an InputError if a label of a NumPy array is not in 0..num_classes - 1."""
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise InputError(
            f'labels must be 0 to {num_classes - 1}, got {wrong[0]}: bbox_head.num_classes must be '
            "the data's number of classes"
        )


def pairs(extents: Tensor, counts: np.ndarray) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield all pairs of a box and a position in its square, in the order of the boxes.

    A group has at most ``PAIRS_AT_ONCE`` pairs, or those of a single box. The memory therefore does
    not grow with the number of pairs.

    Args:
        extents (Tensor): Widths and heights of the squares, int64 ``(K, 2)``.
        counts (ndarray): Numbers of positions in the squares, int64 ``(K,)``.

    Yields:
        tuple[Tensor]: Of each pair the index of the box, and the column and row of the position in
        the square, int64 ``(P,)``.
    """
    known_ends = counts.cumsum()
    counts = extents.prod(dim=1)
    starts = counts.cumsum(dim=0) - counts
    of_boxes = torch.stack([starts, extents[:, 0]], dim=1)  # (K, 2)
    box = begin = 0
    while box < len(counts):
        next_box = np.searchsorted(known_ends, begin + PAIRS_AT_ONCE, side='right')
        next_box = max(int(next_box), box + 1)
        end = int(known_ends[next_box - 1])
        boxes = torch.arange(box, next_box, device=extents.device)
        boxes = boxes.repeat_interleave(counts[box:next_box], output_size=end - begin)
        start, width = of_boxes.index_select(0, boxes).unbind(1)
        number = torch.arange(begin, end, device=extents.device) - start  # row by row
        row = number.div(width, rounding_mode='floor')
        yield boxes, number - row * width, row
        box, begin = next_box, end


def learned_by_winners(sides: Tensor, centers: Tensor, winner: Tensor) -> tuple[Tensor, Tensor]:
    """Return the size and offset that each position learns; zeros for positions without a box.

    Args:
        sides (Tensor): Widths and heights in positions, ``(K, 2)``.
        centers (Tensor): x, y in positions, ``(K, 2)``.
        winner (Tensor): Index of the box at each position, int64 ``(N, height, width)``; negative
            for no box.

    Returns:
        tuple[Tensor]: Sizes and offsets, both ``(N, 2, height, width)``.
    """
    height, width = winner.shape[1:]
    none = (winner < 0)[:, None]
    values = functional.pad(torch.cat([sides, centers], dim=1), (0, 0, 0, 1))  # the last one: -1
    size, center = values[winner].permute(0, 3, 1, 2).contiguous().chunk(2, dim=1)
    axes = (torch.arange(n, dtype=sides.dtype, device=sides.device) for n in (width, height))
    grid = torch.stack(torch.meshgrid(*axes, indexing='xy'))
    return size.contiguous(), (center - grid).masked_fill(none, 0)
