"""The kernels, in Triton's language: compiled where there is a GPU, interpreted elsewhere."""

import inspect

import torch
import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction

TENSORS = ('x', 'weight', 'weight2', 'bias', 'out', 'partials', 'arrivals')


def jit(function):
    """Compile where there is a GPU, whatever the numbers are; interpret elsewhere, slowly."""
    if not torch.cuda.is_available():
        return InterpretedFunction(function)
    arguments = inspect.signature(function).parameters.values()
    plain = [each.name for each in arguments if each.annotation is inspect.Parameter.empty]
    numbers = [name for name in plain if name not in TENSORS]
    return triton.jit(function, do_not_specialize=numbers)


# What follows the convolution.
NO_ACT, RELU, RELU6 = (tl.constexpr(number) for number in range(3))


@jit
def linked_conv(
    x,
    weight,
    weight2,
    bias,
    out,
    partials,
    arrivals,
    rows,
    in_groups,
    windows,
    run1,
    run2,
    run3,
    run4,
    run5,
    end0,
    end1,
    end2,
    end3,
    end4,
    end5,
    splits,
    out_groups,
    out_stride_groups,
    images,
    height,
    width,
    halo,
    in_rows,
    in_height,
    in_width,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    ACT: tl.constexpr,
    PADDED: tl.constexpr,
    SPLIT: tl.constexpr,
    ACCELERATOR: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    BLOCK_OUT2: tl.constexpr,
    BLOCK_IN: tl.constexpr,
):
    """Convolve some links of padded maps, as a product of matrices whose rows are shifted.

    A step takes a window of channels, at the positions that one tap of the kernel reads: since maps
    are padded, these are the rows of the output's positions, all shifted by the same number. Up to
    six runs of windows hold the links; a run is taken from its end, window by window.
    """
    # what is a multiple of 8 comes divided by it, so that the compiler sees 16 bytes at a time
    in_stride, out_channels, out_stride = in_groups * 8, out_groups * 8, out_stride_groups * 8
    tiles_out = tl.num_programs(0)
    tile_out, tile_rows, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    first_row = tile_rows * BLOCK_ROWS
    first_out = tile_out * (BLOCK_OUT + BLOCK_OUT2)
    row = first_row + tl.arange(0, BLOCK_ROWS)
    # which position of which image a row is; some are zeros around them
    line, column = row // (width + halo), row % (width + halo)
    image, y = line // (height + halo), line % (height + halo) - halo
    if STRIDE == 1:
        in_row = row
    else:
        in_row = (image * (in_height + halo) + halo + y * STRIDE) * (in_width + halo)
        in_row += column * STRIDE
    inner = tl.arange(0, BLOCK_IN)
    outer = first_out + tl.arange(0, BLOCK_OUT)
    total = tl.full((BLOCK_ROWS, BLOCK_OUT), 0.0, tl.float32)
    if BLOCK_OUT2 > 0:
        outer2 = first_out + BLOCK_OUT + tl.arange(0, BLOCK_OUT2)
        total2 = tl.full((BLOCK_ROWS, BLOCK_OUT2), 0.0, tl.float32)

    steps = windows * KERNEL * KERNEL
    per_split = (steps + splits - 1) // splits
    for step in range(split * per_split, tl.minimum((split + 1) * per_split, steps)):
        window, tap = step // (KERNEL * KERNEL), step % (KERNEL * KERNEL)
        # in both directions, a dilation is the width of the padding
        shift = (tap // KERNEL - KERNEL // 2) * (in_width + halo) + (tap % KERNEL - KERNEL // 2)
        shift *= halo
        end = tl.where(window < run1, end0, tl.where(window < run2, end1, end2))
        end = tl.where(window < run3, end, tl.where(window < run4, end3, end4))
        end = tl.where(window < run5, end, end5)
        channel = tl.maximum(end * 8 - (window + 1) * BLOCK_IN, 0)
        if ACCELERATOR:
            taken = x.load([first_row + shift, channel])
            kernel = weight.load([first_out, step * BLOCK_IN])
        else:
            shifted = in_row + shift
            inside = (shifted >= 0) & (shifted < in_rows)
            place = shifted.to(tl.int64)[:, None] * in_stride + (
                tl.multiple_of(channel, 8) + inner[None, :]
            )
            taken = tl.load(x + place, mask=inside[:, None], other=0.0)
            place = outer[:, None] * (steps * BLOCK_IN) + (step * BLOCK_IN + inner)[None, :]
            kernel = tl.load(weight + place, mask=(outer < out_channels)[:, None], other=0.0)
        total = tl.dot(taken, tl.trans(kernel), total)
        if BLOCK_OUT2 > 0:
            if ACCELERATOR:
                kernel2 = weight2.load([first_out + BLOCK_OUT, step * BLOCK_IN])
            else:
                place = outer2[:, None] * (steps * BLOCK_IN) + (step * BLOCK_IN + inner)[None, :]
                kernel2 = tl.load(weight + place, mask=(outer2 < out_channels)[:, None], other=0.0)
            total2 = tl.dot(taken, tl.trans(kernel2), total2)

    real = (column < width) & (y >= 0) & (image < images)
    place = row.to(tl.int64) if PADDED else ((image * height + y) * width + column).to(tl.int64)
    place = place * out_stride
    wanted = (row < rows) if PADDED else real
    if not SPLIT:
        store(total, bias, out, outer, out_channels, place, real, wanted, ACT)
        if BLOCK_OUT2 > 0:
            store(total2, bias, out, outer2, out_channels, place, real, wanted, ACT)
    else:
        # each part of the sum is put down, and who comes last adds them up, in their order
        tile = tile_rows * tiles_out + tile_out
        local = tl.arange(0, BLOCK_ROWS)[:, None]
        size = BLOCK_ROWS * (BLOCK_OUT + BLOCK_OUT2)
        part = partials + (tile * splits).to(tl.int64) * size
        own = part + split * size
        inside = local * BLOCK_OUT + tl.arange(0, BLOCK_OUT)[None, :]
        tl.store(own + inside, total)
        if BLOCK_OUT2 > 0:
            inside2 = BLOCK_ROWS * BLOCK_OUT + local * BLOCK_OUT2
            inside2 += tl.arange(0, BLOCK_OUT2)[None, :]
            tl.store(own + inside2, total2)
        tl.debug_barrier()
        if tl.atomic_add(arrivals + tile, 1, sem='acq_rel') == splits - 1:
            total = tl.full((BLOCK_ROWS, BLOCK_OUT), 0.0, tl.float32)
            for number in range(splits):
                total += tl.load(part + number * size + inside, cache_modifier='.cg')
            store(total, bias, out, outer, out_channels, place, real, wanted, ACT)
            if BLOCK_OUT2 > 0:
                total2 = tl.full((BLOCK_ROWS, BLOCK_OUT2), 0.0, tl.float32)
                for number in range(splits):
                    total2 += tl.load(part + number * size + inside2, cache_modifier='.cg')
                store(total2, bias, out, outer2, out_channels, place, real, wanted, ACT)


@jit
def store(total, bias, out, channels, out_channels, place, real, wanted, ACT: tl.constexpr):
    """Add the bias, activate, and write; 0 where a row is no position of an image."""
    inside = channels < out_channels
    value = total + tl.load(bias + channels, mask=inside, other=0.0)[None, :]
    if ACT == RELU:
        value = tl.maximum(value, 0.0)
    if ACT == RELU6:
        value = tl.minimum(tl.maximum(value, 0.0), 6.0)
    value = tl.where(real[:, None], value, 0.0)
    target = out + place[:, None] + channels[None, :]
    tl.store(target, value.to(out.dtype.element_ty), mask=wanted[:, None] & inside[None, :])


@jit
def pool(
    x,
    out,
    groups,
    in_stride_image,
    in_stride_row,
    in_stride_column,
    in_height,
    in_width,
    rows,
    out_groups,
    out_stride_groups,
    images,
    height,
    width,
    halo,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    AVERAGE: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """Pool channels-last maps into some channels of padded maps; a pool of 1 x 1 copies.

    The strides of what is read are divided by ``GROUP``, 8 where all of them can be.
    """
    channels, out_channels, out_stride = groups * GROUP, out_groups * 8, out_stride_groups * 8
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    channel = tl.program_id(1) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    line, column = row // (width + halo), row % (width + halo)
    image, y = line // (height + halo), line % (height + halo) - halo
    real = (column < width) & (y >= 0) & (image < images)
    if AVERAGE:
        value = tl.full((BLOCK_ROWS, BLOCK_CHANNELS), 0.0, tl.float32)
    else:
        value = tl.full((BLOCK_ROWS, BLOCK_CHANNELS), float('-inf'), tl.float32)
    count = tl.full((BLOCK_ROWS,), 0.0, tl.float32)
    for tap in tl.static_range(KERNEL * KERNEL):
        from_y = y * STRIDE - PADDING + tap // KERNEL
        from_x = column * STRIDE - PADDING + tap % KERNEL
        inside = real & (from_y >= 0) & (from_y < in_height) & (from_x >= 0) & (from_x < in_width)
        place = image.to(tl.int64) * in_stride_image + from_y * in_stride_row
        place = (place + from_x * in_stride_column) * GROUP
        taken = tl.load(
            x + place[:, None] + channel[None, :],
            mask=inside[:, None] & (channel < channels)[None, :],
            other=0.0 if AVERAGE else float('-inf'),
        ).to(tl.float32)
        if AVERAGE:
            value += taken
            # zero padding counts, positions beyond it do not
            count += ((from_y < in_height + PADDING) & (from_x < in_width + PADDING)).to(tl.float32)
        else:
            value = tl.maximum(value, taken)
    if AVERAGE:
        value = value / tl.maximum(count, 1.0)[:, None]
    value = tl.where(real[:, None] & (channel < channels)[None, :], value, 0.0)
    tl.store(
        out + row.to(tl.int64)[:, None] * out_stride + channel[None, :],
        value.to(out.dtype.element_ty),
        mask=(row < rows)[:, None] & (channel < out_channels)[None, :],
    )


@jit
def image_conv(
    x,
    weight,
    bias,
    out,
    in_stride_image,
    in_stride_channel,
    in_stride_row,
    in_stride_column,
    in_height,
    in_width,
    rows,
    out_groups,
    out_stride_groups,
    images,
    height,
    width,
    halo,
    CHANNELS: tl.constexpr,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    ACT: tl.constexpr,
    DEPTH: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
):
    """Convolve images of a few channels, of any type and layout, into padded maps."""
    out_channels, out_stride = out_groups * 8, out_stride_groups * 8
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    outer = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    line, column = row // (width + halo), row % (width + halo)
    image, y = line // (height + halo), line % (height + halo) - halo
    real = (column < width) & (y >= 0) & (image < images)
    inner = tl.arange(0, DEPTH)
    tap, channel = inner // CHANNELS, inner % CHANNELS
    from_y = (y * STRIDE - KERNEL // 2)[:, None] + (tap // KERNEL)[None, :]
    from_x = (column * STRIDE - KERNEL // 2)[:, None] + (tap % KERNEL)[None, :]
    inside = (from_y >= 0) & (from_y < in_height) & (from_x >= 0) & (from_x < in_width)
    place = (image.to(tl.int64) * in_stride_image)[:, None] + from_y * in_stride_row
    place += from_x * in_stride_column + (channel * in_stride_channel)[None, :]
    inside = inside & real[:, None] & (tap < KERNEL * KERNEL)[None, :]
    taken = tl.load(x + place, mask=inside, other=0.0).to(weight.dtype.element_ty)
    kernel = tl.load(
        weight + outer[:, None] * DEPTH + inner[None, :],
        mask=(outer < out_channels)[:, None],
        other=0.0,
    )
    total = tl.dot(taken, tl.trans(kernel))
    place = row.to(tl.int64) * out_stride
    store(total, bias, out, outer, out_channels, place, real, row < rows, ACT)
