"""The Triton kernels: compiled for a GPU, or interpreted without one.

A row is a position of :class:`~hardnet_mm.kernels.triton.padded_maps.PaddedMaps`. Arguments named
``groups`` are numbers of channels divided by 8. The compiler then knows that they are multiples of
8, and that 16 bytes can be loaded at a time.
"""

import inspect

import torch
import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction

TENSORS = ('x', 'weight', 'weight2', 'bias', 'out', 'partials', 'arrivals')


def jit(function):
    """Compile for a GPU, once for all values of integer arguments; without a GPU, interpret."""
    if not torch.cuda.is_available():
        return InterpretedFunction(function)
    arguments = inspect.signature(function).parameters.values()
    plain = [each.name for each in arguments if each.annotation is inspect.Parameter.empty]
    numbers = [name for name in plain if name not in TENSORS]
    return triton.jit(function, do_not_specialize=numbers)


# The activation after a convolution.
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
    in_rows,
    in_height,
    in_width,
    in_groups,
    rows,
    images,
    height,
    width,
    halo,
    out_groups,
    out_stride_groups,
    splits,
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
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    ACT: tl.constexpr,
    PADDED: tl.constexpr,
    SPLIT: tl.constexpr,
    ACCELERATOR: tl.constexpr,
    TAPS: tl.constexpr,
    DEPENDENT: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    BLOCK_OUT2: tl.constexpr,
    BLOCK_IN: tl.constexpr,
):
    """Convolve some links of padded maps, as matrix products with shifted rows.

    A step multiplies a window of channels at the rows that one tap of the kernel reads. Because the
    maps are padded, these are the rows of the output positions, shifted by a constant number. The
    links are covered by up to six runs of windows. The windows of a run are read from its end to
    its start. A program has two blocks of output channels, because the size of a block must be a
    power of two.

    With ``TAPS`` of 3, a step reads the rows once for the three taps of a line of the kernel. A
    program has a sum for each of them, and adds these sums at the end, shifted. Its first and last
    ``halo`` rows lack a tap. They belong to its neighbours.
    """
    wait_for_inputs(DEPENDENT)
    tile_out, tile_rows, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    number = tl.arange(0, BLOCK_ROWS)
    margin = halo * (TAPS // 2)
    first_row = tile_rows * (BLOCK_ROWS - 2 * margin) - margin
    first_out = tile_out * (BLOCK_OUT + BLOCK_OUT2)
    row = first_row + number
    image, y, column, real = locate(row, images, height, width, halo)
    in_row = row
    if STRIDE > 1:
        in_row = (image * (in_height + halo) + halo + y * STRIDE) * (in_width + halo)
        in_row += column * STRIDE
    inner = tl.arange(0, BLOCK_IN)
    outer = first_out + tl.arange(0, BLOCK_OUT)
    sums = zeros(BLOCK_ROWS, BLOCK_OUT, TAPS)
    if BLOCK_OUT2 > 0:
        second = first_out + BLOCK_OUT
        outer2 = second + tl.arange(0, BLOCK_OUT2)
        sums2 = zeros(BLOCK_ROWS, BLOCK_OUT2, TAPS)

    STEPS: tl.constexpr = KERNEL * KERNEL // TAPS  # of a window
    steps = windows * STEPS
    depth = steps * TAPS * BLOCK_IN
    per_split = (steps + splits - 1) // splits
    for step in range(split * per_split, tl.minimum((split + 1) * per_split, steps)):
        window, tap = step // STEPS, step % STEPS * TAPS + TAPS // 2
        # in both directions, a dilation is the width of the padding
        shift = (tap // KERNEL - KERNEL // 2) * (in_width + halo) + (tap % KERNEL - KERNEL // 2)
        shift *= halo
        end = tl.where(window < run1, end0, tl.where(window < run2, end1, end2))
        end = tl.where(window < run3, end, tl.where(window < run4, end3, end4))
        end = tl.where(window < run5, end, end5)
        channel = tl.maximum(end * 8 - (window + 1) * BLOCK_IN, 0)
        if ACCELERATOR:
            taken = x.load([first_row + shift, channel])
        else:
            shifted = in_row + shift
            inside = (shifted >= 0) & (shifted < in_rows)
            place = shifted.to(tl.int64)[:, None] * (in_groups * 8)
            place += tl.multiple_of(channel, 8) + inner[None, :]
            taken = tl.load(x + place, mask=inside[:, None], other=0.0)
        first_in = step * TAPS * BLOCK_IN
        sums = add_products(
            sums, taken, weight, first_out, first_in, depth, out_groups, ACCELERATOR
        )
        if BLOCK_OUT2 > 0:
            sums2 = add_products(
                sums2, taken, weight2, second, first_in, depth, out_groups, ACCELERATOR
            )
    total = add_taps(sums, halo)

    place = row.to(tl.int64)
    wanted = row < rows
    if not PADDED:
        place = ((image * height + y) * width + column).to(tl.int64)
        wanted = real
    wanted = wanted & (number >= margin) & (number < BLOCK_ROWS - margin)
    place = place * (out_stride_groups * 8)
    # a place for the parts of each sum
    tile = tile_rows * tl.num_programs(0) + tile_out
    parts = partials + (tile * splits).to(tl.int64) * (BLOCK_ROWS * (BLOCK_OUT + BLOCK_OUT2))
    arrivals += tile * 2
    if SPLIT:
        last, total = add_parts(total, parts, arrivals, split, splits, BLOCK_ROWS, BLOCK_OUT)
        wanted_here = wanted & last
    else:
        wanted_here = wanted
    store(total, bias, out, outer, out_groups, place, real, wanted_here, ACT)
    if BLOCK_OUT2 > 0:
        total2 = add_taps(sums2, halo)
        if SPLIT:
            parts += splits * (BLOCK_ROWS * BLOCK_OUT)
            last, total2 = add_parts(
                total2, parts, arrivals + 1, split, splits, BLOCK_ROWS, BLOCK_OUT2
            )
            wanted = wanted & last
        store(total2, bias, out, outer2, out_groups, place, real, wanted, ACT)


@jit
def wait_for_inputs(DEPENDENT: tl.constexpr):
    """Let the next kernel start, and wait for the end of the one before; see ``launches``."""
    if DEPENDENT:
        tl.extra.cuda.gdc_launch_dependents()
        tl.extra.cuda.gdc_wait()


@jit
def locate(row, images, height, width, halo):
    """Return image, y and x of rows, and which rows are positions of an image, not padding."""
    line, column = row // (width + halo), row % (width + halo)
    image, y = line // (height + halo), line % (height + halo) - halo
    return image, y, column, (column < width) & (y >= 0) & (image < images)


@jit
def zeros(ROWS: tl.constexpr, OUT: tl.constexpr, TAPS: tl.constexpr):
    """Return a sum of zeros for each tap of a step."""
    sums = ()
    for _ in tl.static_range(TAPS):
        sums += (tl.full((ROWS, OUT), 0.0, tl.float32),)  # type: ignore[assignment]
    return sums


@jit
def add_products(
    sums, taken, weight, first_out, first_in, depth, out_groups, ACCELERATOR: tl.constexpr
):
    """Return each tap's sum with the product of the rows that were taken and the tap's weights."""
    found = ()
    for tap in tl.static_range(len(sums)):
        first = first_in + tap * taken.shape[1]
        if ACCELERATOR:
            kernel = weight.load([first_out, first])
        else:
            outer = first_out + tl.arange(0, sums[tap].shape[1])
            place = outer[:, None] * depth + (first + tl.arange(0, taken.shape[1]))[None, :]
            kernel = tl.load(weight + place, mask=(outer < out_groups * 8)[:, None], other=0.0)
        found += (tl.dot(taken, tl.trans(kernel), sums[tap]),)  # type: ignore[assignment]
    return found


@jit
def add_taps(sums, halo):
    """Return the sum of the taps' sums, each of the rows that lie as far as its tap."""
    total = sums[len(sums) // 2]
    if len(sums) == 3:
        total += shifted_rows(sums[0], -halo) + shifted_rows(sums[2], halo)
    return total


@jit
def shifted_rows(x, distance):
    """Return the rows at a distance from each row; some row, where there is none."""
    index = tl.arange(0, x.shape[0]) + distance
    index = tl.minimum(tl.maximum(index, 0), x.shape[0] - 1)
    return tl.gather(x, tl.broadcast_to(index[:, None], x.shape), axis=0)


@jit
def add_parts(
    total, parts, arrivals, split, splits, BLOCK_ROWS: tl.constexpr, BLOCK_OUT: tl.constexpr
):
    """Store a partial sum. The last program to arrive adds all partial sums, in fixed order.

    Returns whether this program is the last one, and the total, which is only valid in that one.
    """
    size = BLOCK_ROWS * BLOCK_OUT
    inside = tl.arange(0, BLOCK_ROWS)[:, None] * BLOCK_OUT + tl.arange(0, BLOCK_OUT)[None, :]
    tl.store(parts + split * size + inside, total)
    tl.debug_barrier()
    last = tl.atomic_add(arrivals, 1, sem='acq_rel') == splits - 1
    tl.store(arrivals, 0, mask=last)  # for the next convolution
    total = tl.full((BLOCK_ROWS, BLOCK_OUT), 0.0, tl.float32)
    for number in range(tl.where(last, splits, 0)):
        total += tl.load(parts + number * size + inside, cache_modifier='.cg')
    return last, total


@jit
def store(total, bias, out, channels, out_groups, place, real, wanted, ACT: tl.constexpr):
    """Add the bias, apply the activation, and write; write 0 to the rows of the padding."""
    inside = channels < out_groups * 8
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
    in_groups,
    in_stride_image,
    in_stride_row,
    in_stride_column,
    in_height,
    in_width,
    rows,
    images,
    height,
    width,
    halo,
    out_groups,
    out_stride_groups,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    AVERAGE: tl.constexpr,
    GROUP: tl.constexpr,
    DEPENDENT: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    """Pool channels-last maps into some channels of padded maps; a 1 x 1 pool copies.

    The input's channels and strides are divided by ``GROUP``, which is 8 if all are multiples of 8.
    """
    wait_for_inputs(DEPENDENT)
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    channel = tl.program_id(1) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    image, y, column, real = locate(row, images, height, width, halo)
    there = (channel < in_groups * GROUP)[None, :]
    nothing = 0.0 if AVERAGE else float('-inf')
    value = tl.full((BLOCK_ROWS, BLOCK_CHANNELS), nothing, tl.float32)
    count = tl.full((BLOCK_ROWS,), 0.0, tl.float32)
    for tap in tl.static_range(KERNEL * KERNEL):
        from_y = y * STRIDE - PADDING + tap // KERNEL
        from_x = column * STRIDE - PADDING + tap % KERNEL
        inside = real & (from_y >= 0) & (from_y < in_height) & (from_x >= 0) & (from_x < in_width)
        place = image.to(tl.int64) * in_stride_image + from_y * in_stride_row
        place = (place + from_x * in_stride_column) * GROUP
        taken = tl.load(
            x + place[:, None] + channel[None, :], mask=inside[:, None] & there, other=nothing
        ).to(tl.float32)
        if AVERAGE:
            value += taken
            # zero padding counts, positions beyond it do not
            count += ((from_y < in_height + PADDING) & (from_x < in_width + PADDING)).to(tl.float32)
        else:
            value = tl.maximum(value, taken)
    if AVERAGE:
        value = value / tl.maximum(count, 1.0)[:, None]
    value = tl.where(real[:, None] & there, value, 0.0)
    target = out + row.to(tl.int64)[:, None] * (out_stride_groups * 8) + channel[None, :]
    wanted = (row < rows)[:, None] & (channel < out_groups * 8)[None, :]
    tl.store(target, value.to(out.dtype.element_ty), mask=wanted)


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
    images,
    height,
    width,
    halo,
    out_groups,
    out_stride_groups,
    CHANNELS: tl.constexpr,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    ACT: tl.constexpr,
    DEPTH: tl.constexpr,
    DEPENDENT: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
):
    """Convolve images with few channels, of any type and layout, into padded maps."""
    wait_for_inputs(DEPENDENT)
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    outer = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    image, y, column, real = locate(row, images, height, width, halo)
    inner = tl.arange(0, DEPTH)
    tap, channel = inner // CHANNELS, inner % CHANNELS
    from_y = (y * STRIDE - KERNEL // 2)[:, None] + (tap // KERNEL)[None, :]
    from_x = (column * STRIDE - KERNEL // 2)[:, None] + (tap % KERNEL)[None, :]
    inside = (from_y >= 0) & (from_y < in_height) & (from_x >= 0) & (from_x < in_width)
    inside = inside & real[:, None] & (tap < KERNEL * KERNEL)[None, :]
    place = (image.to(tl.int64) * in_stride_image)[:, None] + from_y * in_stride_row
    place += from_x * in_stride_column + (channel * in_stride_channel)[None, :]
    taken = tl.load(x + place, mask=inside, other=0.0).to(weight.dtype.element_ty)
    there = (outer < out_groups * 8)[:, None]
    kernel = tl.load(weight + outer[:, None] * DEPTH + inner[None, :], mask=there, other=0.0)
    total = tl.dot(taken, tl.trans(kernel))
    place = row.to(tl.int64) * (out_stride_groups * 8)
    store(total, bias, out, outer, out_groups, place, real, row < rows, ACT)
