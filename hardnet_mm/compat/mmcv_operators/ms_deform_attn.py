"""Multi-scale deformable attention: Zhu et al., Deformable DETR, ICLR 2021.

mmcv has it in PyTorch for the CPU, and calls its compiled operator on a GPU.
"""

from .operator import gradients, operator, widened

USING = "mmcv's own for the CPU: grid_sample"
REFERENCE = 'float64 from the paper; gradcheck'
SHAPES = dict(value='N K M D', sampling_locations='N Q M L P 2', attention_weights='N Q M L P')


@operator(USING, REFERENCE, slow=True, **SHAPES)
def ms_deform_attn_forward(
    value,
    value_spatial_shapes,
    value_level_start_index,
    sampling_locations,
    attention_weights,
    im2col_step,
):
    """Return the attention ``(N, Q, M D)``.

    Args:
        value (Tensor): ``(N, K, M, D)``, pixels of all levels, one level after the other.
        value_spatial_shapes (Tensor): ``(L, 2)``, heights and widths of the levels.
        value_level_start_index (Tensor): ``(L,)``, where each level starts.
        sampling_locations (Tensor): ``(N, Q, M, L, P, 2)``, x and y from 0 to 1.
        attention_weights (Tensor): ``(N, Q, M, L, P)``.
        im2col_step (int): Images that compiled code computes at once.
    """
    sizes = _sizes(value, value_spatial_shapes)
    if 0 in (*value.shape, *sampling_locations.shape):
        return value.new_zeros(*sampling_locations.shape[:2], value.shape[2] * value.shape[3])
    operands = widened(value, sampling_locations, attention_weights)
    return _attend(sizes)(*operands).to(value)


@operator(USING, REFERENCE, slow=True, **SHAPES)
def ms_deform_attn_backward(
    value,
    value_spatial_shapes,
    value_level_start_index,
    sampling_locations,
    attention_weights,
    grad_output,
    grad_value,
    grad_sampling_loc,
    grad_attn_weight,
    im2col_step,
):
    """Fill the gradients of :func:`ms_deform_attn_forward`.

    A sample exactly one pixel outside a level, or farther out, gets no gradient, as in compiled
    code.
    """
    sizes = _sizes(value, value_spatial_shapes)
    if 0 in (*value.shape, *sampling_locations.shape):
        return
    operands = widened(value, sampling_locations, attention_weights)
    grads = gradients(_attend(sizes), operands, grad_output.to(operands[0]))
    extent = operands[1].new_tensor(sizes).flip(1)[:, None]  # L, 1, 2: width and height
    position = operands[1] * extent - 0.5
    counts = ((position > -1) & (position < extent)).all(dim=-1, keepdim=True)
    grad_value.copy_(grads[0])
    grad_sampling_loc.copy_(grads[1] * counts)
    grad_attn_weight.copy_(grads[2])


def _attend(sizes):
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return lambda value, locations, weights: multi_scale_deformable_attn_pytorch(
        value, sizes, locations, weights
    )


def _sizes(value, value_spatial_shapes):
    """Return the levels' heights and widths as numbers."""
    sizes = value_spatial_shapes.tolist()
    pixels = sum(height * width for height, width in sizes)
    if value.shape[1] != pixels:
        raise RuntimeError(
            f'ms_deform_attn: levels of {sizes} pixels need value.shape[1] = {pixels}, got '
            f'{value.shape[1]}'
        )
    return sizes
