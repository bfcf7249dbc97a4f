"""3x3 convolutions in half the multiplications: Winograd's algorithm along the height.

F(4, 3) of Lavin and Gray (Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section
4.2): four rows of the output come from six of the input, by six products in place of twelve. Along
the width the convolution stays, as six convolutions with 1x3 kernels. (Along both it would take a
quarter of the multiplications, and most of the time to transform.)
"""

import torch
from torch.nn import grad

ROWS_OUT, ROWS_IN = 4, 6
# Kernel rows to the six products (matrix G of the paper).
KERNEL_TRANSFORM = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
# The six products to the output rows (the transpose of its matrix A).
OUTPUT_TRANSFORM = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)
MOST_AT_ONCE = 2**24  # numbers, in the transformed input and output of several images
EVERY_ROW = 1  # the product that every output row contains once: the bias is added to it
GEOMETRY = ([0, 1], [1, 1], [1, 1], 1)  # padding, stride, dilation and groups of the 1x3 kernels


def applies(conv):
    """Return whether a convolution is 3x3 with a padding of 1 and otherwise plain."""
    plain = conv.stride == conv.dilation == conv.padding == [1, 1] and conv.groups == 1
    return plain and conv.weight.shape[2:] == (3, 3)


def pays(weight, x, limit=30):
    """Return whether it is faster than the convolution itself.

    Products are halved, but every cell of the input and the output is transformed, so both must
    have many channels. The limits were measured on two cores with AVX-512.
    """
    out_channels, in_channels = weight.shape[:2]
    products = x.shape[0] * x.shape[2] * x.shape[3] * in_channels * out_channels
    enough = 2**24 if x.dtype == torch.float32 else 2**25  # bfloat16 products cost less
    many = in_channels * out_channels >= limit * (in_channels + out_channels)
    return many and products >= enough


@torch.autocast('cpu', enabled=False)  # in float32, whoever asks first
def pack(weight, shape):
    """Return the six 1x3 kernels of ``(C_out, C_in, 3, 3)`` weights, laid out for oneDNN."""
    kernels = torch.einsum('pr,oirc->poic', torch.tensor(KERNEL_TRANSFORM), weight.float())
    batch, channels, height, width = shape
    shape = [1, channels, batch * _tiles(height), width]
    return [
        torch.ops.mkldnn._reorder_convolution_weight(
            kernel.unsqueeze(2).to(weight.dtype, memory_format=torch.channels_last),
            *GEOMETRY,
            shape,
        )
        for kernel in kernels
    ]


def convolve(x, kernels, bias, pool, out=None):
    """Convolve ``(N, C_in, H, W)`` with packed kernels to ``(N, C_out, H, W)``.

    Both are channels-last; the memory of everything between comes from the pool, and by default
    the output's as well.
    """
    batch, channels, *size = x.shape
    out_channels = len(kernels[0])
    if out is None:
        out = pool.empty_channels_last((batch, out_channels, *size), x.dtype)
    group = _group(size, channels + out_channels)
    for images, outputs in zip(x.split(group), out.split(group)):
        _convolve(images, kernels, bias, pool, outputs.permute(0, 2, 3, 1))
    return out


def _convolve(x, kernels, bias, pool, out):
    batch, height, width, channels = out.shape
    tiles = _tiles(height)
    inputs = transform_input(x, pool)
    products = pool.empty((ROWS_IN, batch * tiles, width, channels), x.dtype).zero_()
    for number, (rows, kernel) in enumerate(zip(inputs, kernels)):
        torch.ops.mkldnn._convolution_pointwise_.binary(
            products[number].unsqueeze(0).permute(0, 3, 1, 2),  # what it adds to
            rows.unsqueeze(0).permute(0, 3, 1, 2),
            kernel,
            bias if number == EVERY_ROW else None,
            *GEOMETRY,
            'add',
            1.0,
            None,
            [],
            '',
        )
    transform = torch.tensor(OUTPUT_TRANSFORM, dtype=x.dtype).expand(batch * tiles, -1, -1)
    rows = tiles * ROWS_OUT
    whole = out if rows == height else pool.empty((batch, rows, width, channels), x.dtype)
    by_tile = whole.view(batch * tiles, ROWS_OUT, width * channels)
    torch.bmm(transform, products.flatten(2).transpose(0, 1), out=by_tile)
    if rows != height:
        out.copy_(whole[:, :height])


def weight_gradient(x, gradient, pool):
    """Return the gradient of ``(C_out, C_in, 3, 3)`` weights, from the input and the output's.

    The algorithm is bilinear, so its transpose in the kernel takes the same products: of the
    transformed input, and of the output's gradient by the transpose of what makes the output.
    """
    channels, out_channels = x.shape[1], gradient.shape[1]
    group = _group(x.shape[2:], channels + out_channels)
    total = 0
    for images, gradients in zip(x.split(group), gradient.split(group)):
        planes = zip(transform_input(images, pool), transform_gradient(gradients, pool))
        products = [
            grad.conv2d_weight(
                rows.unsqueeze(0).permute(0, 3, 1, 2),
                (out_channels, channels, 1, 3),
                gradients.unsqueeze(0).permute(0, 3, 1, 2),
                padding=(0, 1),
            )
            for rows, gradients in planes
        ]
        total = total + torch.stack(products).squeeze(3)
    return torch.einsum('pr,poic->oirc', torch.tensor(KERNEL_TRANSFORM), total)


def transform_input(x, pool):
    """Map ``(N, C, H, W)`` to the six ``(N * tiles, W, C)`` that the kernels are applied to.

    The rows of matrix B in the paper, written so that sums are shared.
    """
    tiles = _tiles(x.shape[2])
    padded = _pad(x, 1, tiles * ROWS_OUT + 2, pool)
    last = (tiles - 1) * ROWS_OUT + 1
    d0, d1, d2, d3, d4, d5 = (padded[:, row : row + last : ROWS_OUT] for row in range(ROWS_IN))
    out = pool.empty((ROWS_IN, *d0.shape), x.dtype)
    even, odd, rest = pool.empty((3, *d0.shape), x.dtype)
    torch.sub(d4, d2, alpha=4, out=even)
    torch.sub(d3, d1, alpha=4, out=odd)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.sub(d4, d2, out=even)
    torch.sub(d3, d1, out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    torch.sub(d0, d2, out=rest)
    torch.add(even, rest, alpha=4, out=out[0])
    torch.sub(d5, d3, out=rest)
    torch.sub(rest, odd, alpha=4, out=out[5])
    return out.flatten(1, 2)


def transform_gradient(gradient, pool):
    """Map ``(N, C, H, W)`` to the six ``(N * tiles, W, C)`` that belong to the transformed input.

    The rows of matrix A in the paper, written likewise.
    """
    rows = _pad(gradient, 0, _tiles(gradient.shape[2]) * ROWS_OUT, pool)
    g0, g1, g2, g3 = (rows[:, row::ROWS_OUT] for row in range(ROWS_OUT))
    out = pool.empty((ROWS_IN, *g0.shape), gradient.dtype)
    even, odd = pool.empty((2, *g0.shape), gradient.dtype)
    out[0] = g0
    torch.add(g0, g2, out=even)
    torch.add(g1, g3, out=odd)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.add(g0, g2, alpha=4, out=even)
    torch.add(g1, g3, alpha=4, out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    out[5] = g3
    return out.flatten(1, 2)


def _pad(x, above, height, pool):
    """Return ``(N, C, H, W)`` as ``(N, height, W, C)``, with rows of zeros above and below."""
    batch, channels, rows, width = x.shape
    padded = pool.empty((batch, height, width, channels), x.dtype)
    padded[:, :above] = padded[:, above + rows :] = 0
    padded[:, above : above + rows] = x.permute(0, 2, 3, 1)
    return padded


def _group(size, channels):
    """Return how many images to transform at once, so that little memory is taken."""
    height, width = size
    return max(1, MOST_AT_ONCE // (ROWS_IN * _tiles(height) * width * channels))


def _tiles(height):
    return -(-height // ROWS_OUT)
