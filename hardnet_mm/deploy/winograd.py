"""3x3 convolutions in half the multiplications: Winograd's algorithm along the height.

F(4, 3) of Lavin and Gray (Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section
4.2): four rows of the output come from six of the input, by six products in place of twelve. Along
the width the convolution stays, as six convolutions with 1x3 kernels. (Along both it would take a
quarter of the multiplications, and most of the time to transform.)
"""

import torch

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
EVERY_ROW = 1  # the product that every output row contains once: the bias is added to it
GEOMETRY = ([0, 1], [1, 1], [1, 1], 1)  # padding, stride, dilation and groups of the 1x3 kernels


def applies(conv):
    """Return whether a convolution is 3x3 with a padding of 1 and otherwise plain."""
    plain = conv.stride == conv.dilation == conv.padding == [1, 1] and conv.groups == 1
    return plain and conv.weight.shape[2:] == (3, 3)


def pays(weight, x):
    """Return whether it is faster than the convolution itself.

    Products are halved, but every cell of the input and the output is transformed, so both must
    have many channels. The limits were measured on two cores with AVX-512.
    """
    out_channels, in_channels = weight.shape[:2]
    products = x.shape[0] * x.shape[2] * x.shape[3] * in_channels * out_channels
    enough = 2**24 if x.dtype == torch.float32 else 2**25  # bfloat16 products cost less
    return in_channels * out_channels >= 30 * (in_channels + out_channels) and products >= enough


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


def convolve(x, kernels, bias, pool):
    """Convolve ``(N, C_in, H, W)`` with packed kernels to ``(N, C_out, H, W)``.

    Both are channels-last; the memory of everything between comes from the pool.
    """
    batch, _, height, width = x.shape
    out_channels, tiles = kernels[0].shape[0], _tiles(height)
    inputs = transform_input(x, pool)
    products = pool.empty((ROWS_IN, batch * tiles, width, out_channels), x.dtype).zero_()
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
    transform = torch.tensor(OUTPUT_TRANSFORM, dtype=x.dtype)
    out = pool.empty((batch * tiles, ROWS_OUT, width * out_channels), x.dtype)
    torch.bmm(transform.expand(len(out), -1, -1), products.flatten(2).transpose(0, 1), out=out)
    out = out.view(batch, tiles * ROWS_OUT, width, out_channels)[:, :height]
    return out.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def transform_input(x, pool):
    """Map ``(N, C, H, W)`` to the six ``(N * tiles, W, C)`` that the kernels are applied to.

    The rows of matrix B in the paper, written so that sums are shared.
    """
    batch, channels, height, width = x.shape
    tiles = _tiles(height)
    padded = pool.empty((batch, tiles * ROWS_OUT + 2, width, channels), x.dtype)
    padded[:, :1] = padded[:, height + 1 :] = 0
    padded[:, 1 : height + 1] = x.permute(0, 2, 3, 1)
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


def _tiles(height):
    return -(-height // ROWS_OUT)
