"""Regions of interest: which can be pooled at all."""

import torch

MAX_SAMPLES = 2**31 - 1  # of a region, whose number compiled code counts in 32 bits
OUTSIDE = -1e4  # farther from any feature map than a sample that counts


def check_rois(
    name, rois, images, pooled=(1, 1), spatial_scale=1.0, sampling_ratio=1, rotated=False
):
    """Return regions that compiled code can be given: others make it read or write anywhere.

    A region with a coordinate that is no finite number becomes an empty one outside of the image.

    Args:
        name (str): The operator's.
        rois (Tensor): ``(K, 5)``: index in the batch, x1 y1 x2 y2; or ``(K, 6)``: index, centre x
            and y, width, height, angle.
        images (int): Number of images in the batch.
        pooled (tuple[int]): Height and width of the output.
        spatial_scale (float): Pixels of the feature map for a pixel of the image.
        sampling_ratio (int): Samples along a bin's side, 0: a sample a pixel.
        rotated (bool): Whether they are the latter. Defaults to False.

    Raises:
        RuntimeError: If a region is of no image of the batch, or too large to be counted. Told on
            the CPU alone, where asking costs nothing.
    """
    finite = rois.isfinite().all(dim=1)
    if rois.device.type == 'cpu' and len(rois):
        index = rois[:, 0]
        if not ((index >= 0) & (index < images)).all():
            raise RuntimeError(
                f'{name}: the first number of a RoI is the index of its image, 0 to {images - 1}, '
                f'got {index.min():g} to {index.max():g}'
            )
        sizes = rois[finite, 3:5] - (0 if rotated else rois[finite, 1:3])
        sizes = sizes.double().clamp(min=0) * spatial_scale
        samples = (sizes + torch.tensor(pooled[::-1])).prod(dim=1)
        if not sampling_ratio and (samples > MAX_SAMPLES).any():
            raise RuntimeError(f'{name}: a RoI has more than {MAX_SAMPLES} pixels')
    outside = torch.full_like(rois, OUTSIDE)
    outside[:, 0] = rois[:, 0]
    return torch.where(finite[:, None], rois, outside)


def by_grid(rois, pooled, sampling_ratio, sizes):
    """Yield regions that are sampled alike: ``((grid height, grid width), their indices)``.

    Args:
        rois (Tensor): ``(K, ...)``.
        pooled (tuple[int]): Height and width of the output.
        sampling_ratio (int): Samples along a bin's side, 0: a sample a pixel.
        sizes (Tensor): ``(K, 2)``, heights and widths in pixels of the feature map.
    """
    everything = torch.arange(len(rois), device=rois.device)
    if sampling_ratio > 0:
        yield (sampling_ratio, sampling_ratio), everything
        return
    grids = (sizes / sizes.new_tensor(pooled)).ceil().long().clamp(min=0)
    for grid in grids.unique(dim=0).tolist():
        yield tuple(grid), everything[(grids == grids.new_tensor(grid)).all(dim=1)]


def along(start, size, bins, samples):
    """Return positions of samples along one axis, ``(K, bins, samples)``.

    Args:
        start (Tensor): ``(K,)``.
        size (Tensor): ``(K,)``.
        bins (int): Equal parts of the size.
        samples (int): Of each bin.
    """
    count = bins * samples
    middles = (torch.arange(count, device=start.device, dtype=start.dtype) + 0.5) / count
    return (start[:, None] + size[:, None] * middles).view(len(start), bins, samples)
