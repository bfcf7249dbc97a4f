"""Regions of interest (RoIs): checks, and positions of their samples."""

import torch

MAX_SAMPLES = 2**31 - 1  # of a region, whose number compiled code counts in 32 bits
OUTSIDE = -1e4  # farther from any feature map than a sample that counts


def check_rois(
    name, rois, images, pooled=(1, 1), spatial_scale=1.0, sampling_ratio=1, rotated=False
):
    """Check regions, and return them without invalid coordinates.

    With other regions, compiled code would read or write out of bounds. A region with a coordinate
    that is not finite becomes an empty region outside the image.

    Args:
        name (str): Name of the operator.
        rois (Tensor): ``(K, 5)``: index in the batch, x1 y1 x2 y2; or ``(K, 6)``: index, centre x
            and y, width, height, angle.
        images (int): Number of images in the batch.
        pooled (tuple[int]): Height and width of the output.
        spatial_scale (float): Scale of the feature map relative to the image.
        sampling_ratio (int): Samples along the side of a bin; 0 for one sample per pixel.
        rotated (bool): Whether regions are rotated. Defaults to False.

    Raises:
        RuntimeError: If the image index of a region is out of range, or a region has too many
            pixels. This is only checked on the CPU, where no synchronisation is needed.
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
    """Group regions by their sampling grid: ``((grid height, grid width), their indices)``.

    Args:
        rois (Tensor): ``(K, ...)``.
        pooled (tuple[int]): Height and width of the output.
        sampling_ratio (int): Samples along the side of a bin; 0 for one sample per pixel.
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
        start (Tensor): Start of each region, ``(K,)``.
        size (Tensor): Size of each region, ``(K,)``.
        bins (int): Number of equal parts of the size.
        samples (int): Number of samples of each bin.
    """
    count = bins * samples
    middles = (torch.arange(count, device=start.device, dtype=start.dtype) + 0.5) / count
    return (start[:, None] + size[:, None] * middles).view(len(start), bins, samples)
