"""CenterNet-HarDNet's training targets: every cell around a centre learns size and offset."""

import torch

MIN_OVERLAP = 0.7


def gaussian_radius(sides):
    """Return the radius in cells, ``(K,)`` int64, of the heatmap's Gaussians.

    A corner moved by it keeps an overlap of 0.7: the smallest of CornerNet's three solutions, which
    is always the third, in the form of the original program (utils/image.py), whose divisor is 2.

    Args:
        sides (Tensor): Widths and heights in cells, ``(K, 2)``.
    """
    width, height = sides.double().ceil().unbind(1)
    b = 2 * MIN_OVERLAP * (width + height)
    root = (b**2 + 16 * MIN_OVERLAP * (1 - MIN_OVERLAP) * width * height).sqrt()
    return ((root - b) / 2).floor().long()


def keep_visible(sides, whole_sides):
    """Tell which boxes enough is left of: over 2 cells, or over half, both across and down.

    Args:
        sides (Tensor): Visible widths and heights in cells, ``(K, 2)``.
        whole_sides (Tensor): Those before anything was cut off, ``(K, 2)``.

    Returns:
        Tensor: bool, ``(K,)``.
    """
    return ((sides > 2) | (sides / (whole_sides + 0.01) > 0.5)).all(dim=1)


def dense_targets(boxes, labels, num_classes, height, width):
    """Draw the targets of one image (PingoLH/CenterNet-HarDNet, sample/ctdet.py, utils/image.py).

    With r the radius, a box marks the square of cells at most r from its centre's cell. There the
    heatmap is a Gaussian with a sigma of (2r + 1) / 6, and size and offset count with the weights
    of one with (2r + 1) / 24 that sums to one. Where squares overlap, the heatmap takes the larger
    value, and size and offset are those of the box with the larger weight, the later one of equals.

    Args:
        boxes (Tensor): ``(K, 4)`` as x1, y1, x2, y2 in cells; parts outside are cut off.
        labels (Tensor): Classes, int64 ``(K,)``.
        num_classes (int): Number of classes.
        height (int): Height of the map in cells.
        width (int): Width of the map in cells.

    Returns:
        tuple[Tensor]: The heatmap ``(num_classes, height, width)``, widths and heights in cells
        ``(2, height, width)``, offsets x, y from the cell to the centre in cells likewise, and the
        weights of both ``(height, width)``.
    """
    heatmap = boxes.new_zeros(num_classes, height, width)
    whole_sides = boxes[:, 2:] - boxes[:, :2]
    limits = boxes.new_tensor([width, height])
    boxes = torch.cat([boxes[:, :2], boxes[:, 2:]]).clamp(min=0).minimum(limits)
    low, high = boxes.chunk(2)
    keep = keep_visible(high - low, whole_sides)
    low, high, labels = low[keep], high[keep], labels[keep]
    if not len(labels):
        zeros = boxes.new_zeros(2, height, width)
        return heatmap, zeros, zeros, zeros[0]

    sides, centers = high - low, (low + high) / 2
    cells = centers.floor().minimum(limits - 1)
    radius = gaussian_radius(sides)[:, None]
    diameter = (2 * radius + 1).to(boxes)

    def gaussians(distance, share):
        values = torch.exp(-(distance**2) / (2 * (diameter / share) ** 2))
        return values * (distance.abs() <= radius)

    columns = torch.arange(width).to(boxes) - cells[:, :1]  # (K, width), from the centre's
    rows = torch.arange(height).to(boxes) - cells[:, 1:]
    peaks = gaussians(rows, 6)[:, :, None] * gaussians(columns, 6)[:, None]  # (K, height, width)
    heatmap.scatter_reduce_(0, labels[:, None, None].expand_as(peaks), peaks, 'amax')

    reach = max(height, width)  # no radius is larger
    total = gaussians(torch.arange(-reach, reach + 1).to(boxes)[None], 24).sum(dim=1)
    weights = gaussians(rows, 24)[:, :, None] * gaussians(columns, 24)[:, None]
    weights = weights / total[:, None, None] ** 2
    weight, winner = weights.flip(0).max(dim=0)  # of equal weights, max takes the first
    winner = len(labels) - 1 - winner
    grid = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing='xy')).to(
        boxes
    )
    size = sides[winner].permute(2, 0, 1)
    offset = centers[winner].permute(2, 0, 1) - grid
    return heatmap, size, offset, weight
