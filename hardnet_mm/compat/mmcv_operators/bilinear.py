"""Bilinear samples of feature maps, as in mmcv's region operators."""

import torch

MAX_NUMBERS = 2**24  # that a step of a long computation gathers


def corners(y, x, height, width):
    """Return the four pixels around each position, and their weights.

    A position up to one pixel outside the map is moved to its border. Farther out, all weights are
    zero.

    Args:
        y (Tensor): Positions in pixels, of any shape. The centres of pixels have integer positions.
        x (Tensor): The same.
        height (int): Height of the map.
        width (int): Width of the map.

    Returns:
        list[tuple[Tensor, Tensor]]: Indices into the flattened map, and weights.
    """
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y = torch.where(inside, y, torch.zeros_like(y)).clamp(0, height - 1)
    x = torch.where(inside, x, torch.zeros_like(x)).clamp(0, width - 1)
    top, left = y.detach().floor(), x.detach().floor()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down, along = y - top, x - left
    return [
        ((row * width + column).long(), weight * inside)
        for row, column, weight in (
            (top, left, (1 - down) * (1 - along)),
            (top, right, (1 - down) * along),
            (bottom, left, down * (1 - along)),
            (bottom, right, down * along),
        )
    ]


def sample(features, image, y, x):
    """Return the features at positions.

    Args:
        features (Tensor): ``(N, C, H, W)``.
        image (Tensor): ``(K,)``, index in the batch.
        y (Tensor): ``(K, P)``, as in :func:`corners`.
        x (Tensor): ``(K, P)``.

    Returns:
        Tensor: ``(K, P, C)``.
    """
    pixels = features.flatten(2).transpose(1, 2)
    return sum(
        pixels[image.long()[:, None], index] * weight[..., None]
        for index, weight in corners(y, x, *features.shape[2:])
    )


def pooled(features, image, y, x):
    """Return averages of samples, without storing the single samples.

    Args:
        features (Tensor): ``(N, C, H, W)``.
        image (Tensor): ``(K,)``, index in the batch.
        y (Tensor): ``(K, P, S)``, as in :func:`corners`.
        x (Tensor): ``(K, P, S)``.

    Returns:
        Tensor: ``(K, P, C)``; zero where there are no samples.
    """
    count, channels, height, width = features.shape
    if 0 in y.shape or 0 in features.shape:
        return features.flatten()[:0].sum().expand(*y.shape[:2], channels)
    index, weight = zip(*corners(y, x, height, width))
    index, weight = torch.cat(index, dim=2), torch.cat(weight, dim=2) / y.shape[2]
    index = index + (image.long() * (height * width))[:, None, None]
    pixels = features.permute(0, 2, 3, 1).reshape(count * height * width, channels)
    sums = torch.nn.functional.embedding_bag(
        index.flatten(0, 1), pixels, per_sample_weights=weight.flatten(0, 1), mode='sum'
    )
    return sums.view(*y.shape[:2], channels)


def in_steps(count, numbers_each):
    """Yield slices of ``range(count)``, small enough to limit the memory of a step."""
    step = max(1, MAX_NUMBERS // max(1, numbers_each))
    for start in range(0, count, step):
        yield slice(start, start + step)
