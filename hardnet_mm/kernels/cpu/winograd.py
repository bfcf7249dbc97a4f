"""3x3 convolutions in half the multiplications: Winograd's algorithm along the height.

The algorithm is F(m, 3) of Lavin and Gray (Fast Algorithms for Convolutional Neural Networks, CVPR
2016, section 4). It computes m rows of the output from m + 2 rows of the input, in m + 2 products
instead of 3 m. Each product is a convolution with a 1x3 kernel along the width. Winograd's
algorithm along both axes would save more multiplications, but its transforms would then take most
of the time.
"""

import torch

from .capabilities import has_wide_registers

# Matrices of F(m, 3), by m: input rows to the products (B transposed in the paper), kernel rows to
# the products (G), and the products to output rows (A transposed).
INPUT_TRANSFORM = {
    4: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
    6: (
        (1, 0, -21 / 4, 0, 21 / 4, 0, -1, 0),
        (0, 1, 1, -17 / 4, -17 / 4, 1, 1, 0),
        (0, -1, 1, 17 / 4, -17 / 4, -1, 1, 0),
        (0, 1 / 2, 1 / 4, -5 / 2, -5 / 4, 2, 1, 0),
        (0, -1 / 2, 1 / 4, 5 / 2, -5 / 4, -2, 1, 0),
        (0, 2, 4, -5 / 2, -5, 1 / 2, 1, 0),
        (0, -2, 4, 5 / 2, -5, -1 / 2, 1, 0),
        (0, -1, 0, 21 / 4, 0, -21 / 4, 0, 1),
    ),
}
KERNEL_TRANSFORM = {
    4: (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
    6: (
        (1, 0, 0),
        (-2 / 9, -2 / 9, -2 / 9),
        (-2 / 9, 2 / 9, -2 / 9),
        (1 / 90, 1 / 45, 2 / 45),
        (1 / 90, -1 / 45, 2 / 45),
        (32 / 45, 16 / 45, 8 / 45),
        (32 / 45, -16 / 45, 8 / 45),
        (0, 0, 1),
    ),
}
OUTPUT_TRANSFORM = {
    4: (
        (1, 1, 1, 1, 1, 0),
        (0, 1, -1, 2, -2, 0),
        (0, 1, 1, 4, 4, 0),
        (0, 1, -1, 8, -8, 1),
    ),
    6: (
        (1, 1, 1, 1, 1, 1, 1, 0),
        (0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0),
        (0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0),
        (0, 1, -1, 8, -8, 1 / 8, -1 / 8, 0),
        (0, 1, 1, 16, 16, 1 / 16, 1 / 16, 0),
        (0, 1, -1, 32, -32, 1 / 32, -1 / 32, 1),
    ),
}
EVERY_ROW = 1  # the product that every output row contains once: the bias is added to it
MOST_AT_ONCE = 2**24  # numbers, in the transformed input and output of several images
GEOMETRY = ([0, 1], [1, 1], [1, 1], 1)  # padding, stride, dilation and groups of the 1x3 kernels


def is_supported(conv):
    """Return whether a convolution is 3x3 with a padding of 1 and otherwise plain."""
    plain = conv.stride == conv.dilation == conv.padding == [1, 1] and conv.groups == 1
    return plain and conv.weight.shape[2:] == (3, 3)


def is_faster(weight, x):
    """Return whether Winograd's algorithm is faster than the direct convolution of ``x``.

    The algorithm halves the multiplications, but it transforms every position of input and output.
    It is therefore only faster with many channels. The slower memory is compared with arithmetic,
    the more channels it needs. The limits were measured on two cores with AVX-512 and on two cores
    with AVX2.
    """
    if x.dtype not in (torch.float32, torch.bfloat16):
        return False  # float16 has no room for the transformed values
    out_channels, in_channels = weight.shape[:2]
    limit = 30 if has_wide_registers() else 40
    if in_channels * out_channels < limit * (in_channels + out_channels):
        return False
    products = x.shape[0] * x.shape[2] * x.shape[3] * in_channels * out_channels
    return products >= (2**24 if x.dtype == torch.float32 else 2**25)  # those cost less


@torch.autocast('cpu', enabled=False)  # float32, also if the first call is under autocast
def pack_kernels(weight, shape):
    """Return the m + 2 1x3 kernels of ``(C_out, C_in, 3, 3)`` weights, laid out for oneDNN.

    Args:
        weight (Tensor): The weights.
        shape (Sequence[int]): ``(N, C_in, H, W)`` of the input; m is chosen for its height.
    """
    batch, channels, height, width = shape
    rows = rows_per_tile(height, weight.dtype)
    transform = torch.tensor(KERNEL_TRANSFORM[rows], dtype=torch.float64)
    kernels = torch.einsum('pr,oirc->poic', transform, weight.double())
    shape = [1, channels, batch * _tiles(height, rows), width]
    layout = dict(dtype=weight.dtype, memory_format=torch.channels_last)
    reorder = torch.ops.mkldnn._reorder_convolution_weight
    return [reorder(kernel.unsqueeze(2).to(**layout), *GEOMETRY, shape) for kernel in kernels]


def rows_per_tile(height, dtype):
    """Return the m with fewer products for a height.

    For the larger m, bfloat16 is not precise enough.
    """
    if dtype != torch.float32:
        return 4
    return min(OUTPUT_TRANSFORM, key=lambda rows: _tiles(height, rows) * (rows + 2))


def convolve(x, kernels, bias, pool):
    """Convolve ``(N, C_in, H, W)`` with packed kernels to ``(N, C_out, H, W)``.

    Both are channels-last. The output and all intermediate tensors are allocated in the pool.
    """
    batch, channels, height, width = x.shape
    out_channels = len(kernels[0])
    out = pool.empty_channels_last((batch, out_channels, height, width), x.dtype)
    rows = len(kernels) - 2
    numbers = len(kernels) * _tiles(height, rows) * width * (channels + out_channels)
    group = max(1, MOST_AT_ONCE // numbers)  # images at once, so that little memory is taken
    for images, outputs in zip(x.split(group), out.split(group)):
        _convolve(images, kernels, bias, pool, outputs.permute(0, 2, 3, 1))
    return out


def _convolve(x, kernels, bias, pool, out):
    batch, height, width, channels = out.shape
    rows = len(kernels) - 2
    tiles = _tiles(height, rows)
    inputs = transform_input(x, rows, pool)
    products = pool.empty((rows + 2, batch * tiles, width, channels), x.dtype).zero_()
    add_convolution = torch.ops.mkldnn._convolution_pointwise_.binary
    for number, kernel in enumerate(kernels):
        total, maps = (
            tensors[number].unsqueeze(0).permute(0, 3, 1, 2) for tensors in (products, inputs)
        )
        own_bias = bias if number == EVERY_ROW else None
        add_convolution(total, maps, kernel, own_bias, *GEOMETRY, 'add', 1.0, None, [], '')
    full = out
    if tiles * rows != height:
        full = pool.empty((batch, tiles * rows, width, channels), x.dtype)
    by_tile = full.view(batch * tiles, rows, width * channels)
    _transform(OUTPUT_TRANSFORM[rows], products.flatten(2).transpose(0, 1), by_tile)
    if full is not out:
        out.copy_(full[:, :height])


def transform_input(x, rows, pool):
    """Map ``(N, C, H, W)`` to the inputs of the m + 2 products, each ``(N * tiles, W, C)``."""
    batch, channels, height, width = x.shape
    tiles = _tiles(height, rows)
    row = width * channels  # numbers of one
    padded = pool.empty((batch, tiles * rows + 2, width, channels), x.dtype)
    padded[:, :1] = padded[:, 1 + height :] = 0
    padded[:, 1 : 1 + height] = x.permute(0, 2, 3, 1)
    out = pool.empty((rows + 2, batch, tiles, row), x.dtype)
    for number, image in enumerate(padded):
        # neighbouring tiles share two rows
        by_tile = image.as_strided((tiles, rows + 2, row), (rows * row, row, 1))
        _transform(INPUT_TRANSFORM[rows], by_tile, out[:, number].transpose(0, 1))
    return out.view(rows + 2, batch * tiles, width, channels)


def _transform(matrix, x, out):
    """Apply a matrix to the rows of each tile, ``(tiles, rows, W * C)``."""
    torch.bmm(torch.tensor(matrix, dtype=x.dtype).expand(len(x), -1, -1), x, out=out)


def _tiles(height, rows):
    return -(-height // rows)
