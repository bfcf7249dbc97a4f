"""Deformable convolution: Dai et al., ICCV 2017; with weighted samples: Zhu et al., CVPR 2019.

torchvision computes both, with two differences from mmcv. With an offset that is not finite it
reads from undefined memory, where mmcv samples zero. And it gives a gradient to the offset of a
sample that is exactly one pixel above or left of the image, where mmcv gives none. Offsets that
start from zero have such samples.
"""

import torch

from .operator import operator, widened

FAR = 1e6  # pixels; a sample this far outside is zero
USING = 'torchvision deform_conv2d'


@operator(USING, 'compiled, CPU', input='N C H W', weight='O I A B', offset='N G P Q')
def deform_conv_forward(
    input,
    weight,
    offset,
    output,
    columns,
    ones,
    kW,
    kH,
    dW,
    dH,
    padW,
    padH,
    dilationW,
    dilationH,
    group,
    deformable_group,
    im2col_step,
):
    """Fill ``output`` with the convolution of ``input`` ``(N, C, H, W)``.

    ``weight`` is ``(O, C / group, kH, kW)``; ``offset`` is
    ``(N, 2 deformable_group kH kW, H', W')``, y before x. ``columns`` and ``ones`` are buffers that
    compiled code uses.
    """
    layout = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    check_shapes('deform_conv_forward', input, weight, offset, None, layout)
    output.copy_(_forward(input, weight, offset, None, None, layout))


@operator(USING, 'compiled, CPU', input='N C H W', weight='O I A B', offset='N G P Q')
def deform_conv_backward_input(
    input,
    offset,
    gradOutput,
    gradInput,
    gradOffset,
    weight,
    columns,
    kW,
    kH,
    dW,
    dH,
    padW,
    padH,
    dilationW,
    dilationH,
    group,
    deformable_group,
    im2col_step,
):
    """Fill ``gradInput`` and ``gradOffset`` with gradients of :func:`deform_conv_forward`.

    The gradient of the weights is computed together with them, and stored in ``columns``, the
    buffer that mmcv passes to :func:`deform_conv_backward_parameters` next.
    """
    layout = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    check_shapes('deform_conv_backward_input', input, weight, offset, None, layout)
    grads = _backward(gradOutput, input, weight, offset, None, layout)
    gradInput.copy_(grads[0])
    gradOffset.copy_(grads[2])
    columns.resize_(weight.shape).copy_(grads[1])


@operator(USING, 'compiled, CPU', input='N C H W', gradWeight='O I A B', offset='N G P Q')
def deform_conv_backward_parameters(
    input,
    offset,
    gradOutput,
    gradWeight,
    columns,
    ones,
    kW,
    kH,
    dW,
    dH,
    padW,
    padH,
    dilationW,
    dilationH,
    group,
    deformable_group,
    scale,
    im2col_step,
):
    """Add ``scale`` times the weights' gradient to ``gradWeight``."""
    layout = ((dH, dW), (padH, padW), (dilationH, dilationW), group, deformable_group)
    check_shapes('deform_conv_backward_parameters', input, gradWeight, offset, None, layout)
    if columns.shape == gradWeight.shape:  # what deform_conv_backward_input left there
        gradWeight.add_(columns, alpha=scale)
        columns.resize_(0)
        return
    # The weights themselves do not enter their gradient.
    grads = _backward(gradOutput, input, gradWeight, offset, None, layout)
    gradWeight.add_(grads[1].to(gradWeight), alpha=scale)


@operator(
    USING, 'compiled, CPU', input='N C H W', weight='O I A B', offset='N G P Q', mask='N M R S'
)
def modulated_deform_conv_forward(
    input,
    weight,
    bias,
    ones,
    offset,
    mask,
    output,
    columns,
    kernel_h,
    kernel_w,
    stride_h,
    stride_w,
    pad_h,
    pad_w,
    dilation_h,
    dilation_w,
    group,
    deformable_group,
    with_bias,
):
    """Fill ``output`` with the convolution of samples that are weighted by ``mask``.

    ``mask`` is ``(N, deformable_group kernel_h kernel_w, H', W')``, ``bias`` is ``(O,)`` or empty;
    the others are those of :func:`deform_conv_forward`.
    """
    layout = (
        (stride_h, stride_w),
        (pad_h, pad_w),
        (dilation_h, dilation_w),
        group,
        deformable_group,
    )
    size = check_shapes('modulated_deform_conv_forward', input, weight, offset, mask, layout)
    offset, mask = _as_read(offset, size), _as_read(mask, size)
    output.copy_(_forward(input, weight, offset, mask, bias if with_bias else None, layout))


@operator(
    USING, 'compiled, CPU', input='N C H W', weight='O I A B', offset='N G P Q', mask='N M R S'
)
def modulated_deform_conv_backward(
    input,
    weight,
    bias,
    ones,
    offset,
    mask,
    columns,
    grad_input,
    grad_weight,
    grad_bias,
    grad_offset,
    grad_mask,
    grad_output,
    kernel_h,
    kernel_w,
    stride_h,
    stride_w,
    pad_h,
    pad_w,
    dilation_h,
    dilation_w,
    group,
    deformable_group,
    with_bias,
):
    """Fill the gradients of :func:`modulated_deform_conv_forward`."""
    layout = (
        (stride_h, stride_w),
        (pad_h, pad_w),
        (dilation_h, dilation_w),
        group,
        deformable_group,
    )
    size = check_shapes('modulated_deform_conv_backward', input, weight, offset, mask, layout)
    offset, mask = _as_read(offset, size), _as_read(mask, size)
    grads = _backward(grad_output, input, weight, offset, mask, layout)
    grad_input.copy_(grads[0])
    grad_weight.copy_(grads[1])
    for place, grad in ((grad_offset, grads[2]), (grad_mask, grads[3])):
        place.flatten(1)[:, : grad[0].numel()] = grad.flatten(1).to(place)
    if with_bias:
        grad_bias.copy_(grads[4])


def check_shapes(name, input, weight, offset, mask, layout):
    """Return the output's height and width.

    Raises:
        RuntimeError: If sizes do not match; mmcv's compiled operators raise the same type.
    """
    (stride, padding, dilation, group, offset_groups), kernel = layout, weight.shape[2:]
    if min(*stride, *dilation, group, offset_groups, *kernel) < 1 or min(padding) < 0:
        raise RuntimeError(
            f'{name}: kernel, stride, dilation and groups must be at least 1 and padding at least '
            f'0, got {tuple(kernel)}, {stride}, {dilation}, {group}, {offset_groups} and {padding}'
        )
    channels = weight.shape[1] * group
    if input.shape[1] != channels or channels % offset_groups or weight.shape[0] % group:
        raise RuntimeError(
            f'{name}: input must have {channels} channels, as weight and groups say, a multiple of '
            f'{offset_groups} groups of offsets, got {input.shape[1]}'
        )
    output = tuple(
        (size + 2 * pad - step * (taps - 1) - 1) // by + 1
        for size, pad, step, taps, by in zip(input.shape[2:], padding, dilation, kernel, stride)
    )
    if min(output) < 1:
        raise RuntimeError(f'{name}: input image is smaller than kernel: the output were {output}')
    taps = offset_groups * kernel[0] * kernel[1]
    for tensor, name_of_it, size in ((offset, 'offset', 2 * taps), (mask, 'mask', taps)):
        if tensor is None:
            continue
        wanted, rows = (len(input), size, *output), tensor.shape[2:]
        # Modulated ones may be larger, which mmdet's DyHead makes them: see _as_read.
        fits = tuple(rows) == output if mask is None else rows.numel() >= output[0] * output[1]
        if tensor.shape[1] != size or not fits:
            raise RuntimeError(
                f'{name}: {name_of_it} must have the shape {wanted}, got {tuple(tensor.shape)}'
            )
    return output


def _as_read(tensor, size):
    """Return the offsets or masks that compiled code reads from a tensor.

    It reads as many values as the output needs from the start of the tensor, in the output's
    layout. mmdet's DyHead passes maps that are larger than the output, and its published weights
    were trained in this way.
    """
    images, channels = tensor.shape[:2]
    count = channels * size[0] * size[1]
    return tensor.flatten(1)[:, :count].reshape(images, channels, *size)


def _forward(input, weight, offset, mask, bias, layout):
    import torchvision  # noqa: F401, brings the operator

    input, weight, offset, mask, bias = _operands(input, weight, offset, mask, bias)
    return torch.ops.torchvision.deform_conv2d(
        input, weight, offset, mask, bias, *_flat(layout), mask.dim() == 4
    )


def _backward(grad_output, input, weight, offset, mask, layout):
    """Return the gradients of input, weight, offset, mask and bias."""
    import torchvision  # noqa: F401, brings the operator

    input, weight, offset, mask, bias = _operands(input, weight, offset, mask, None)
    grads = torch.ops.torchvision._deform_conv2d_backward(
        grad_output.to(input).contiguous(),
        input,
        weight,
        offset,
        mask,
        bias,
        *_flat(layout),
        mask.dim() == 4,
    )
    return (*grads[:2], grads[2] * _has_gradient(offset, weight, layout), *grads[3:])


def _operands(input, weight, offset, mask, bias):
    """Return the operands in one precision, with placeholders for a missing mask and bias."""
    (input,) = widened(input)
    offset = torch.nan_to_num(offset.to(input), nan=-FAR, posinf=FAR, neginf=-FAR).clamp(-FAR, FAR)
    mask = input.new_zeros(len(input), 1) if mask is None else mask.to(input)
    bias = input.new_zeros(len(weight)) if bias is None else bias.to(input)
    operands = (input, weight.to(input), offset, mask, bias)
    return [operand.contiguous() for operand in operands]


def _flat(layout):
    stride, padding, dilation, group, offset_groups = layout
    return *stride, *padding, *dilation, group, offset_groups


def _has_gradient(offset, weight, layout):
    """Return for each offset whether both coordinates of its sample exceed -1."""
    (stride, padding, dilation, _, groups), kernel = layout, weight.shape[2:]
    size = offset.shape[2:]
    grouped = offset.unflatten(1, (groups, *kernel, 2))  # N, groups, kh, kw, 2, H', W'
    inside = torch.ones((), dtype=torch.bool, device=offset.device)
    for axis in (0, 1):
        taps = torch.arange(kernel[axis], device=offset.device) * dilation[axis]
        base = torch.arange(size[axis], device=offset.device) * stride[axis] - padding[axis]
        taps = taps.view((-1, 1, 1, 1) if axis == 0 else (-1, 1, 1))
        base = base.view((-1, 1) if axis == 0 else (-1,))
        inside = inside & (grouped[:, :, :, :, axis] + (taps + base) > -1)
    return inside.unsqueeze(4).expand_as(grouped).reshape(offset.shape)
