"""Adaptive average pooling in ONNX, from any size to any size.

PyTorch's exporter only supports fixed sizes that are multiples of the output size. PSPNet and
UPerNet pool to 2 x 2, 3 x 3 and 6 x 6 from any image size.
"""

import contextlib

import torch


@contextlib.contextmanager
def exported_adaptive_pooling(opset):
    """A context in which ``torch.onnx.export`` writes adaptive pooling as two matrix products.

    Bin ``i`` of ``n`` is the mean of the positions from ``floor(i * size / n)`` up to but excluding
    ``ceil((i + 1) * size / n)`` (torch.nn.AdaptiveAvgPool2d). Pooling along one axis is therefore a
    product with a matrix of these weights. The graph computes the matrix from the input's size,
    which can be free.
    """
    name = 'aten::adaptive_avg_pool2d'
    torch.onnx.register_custom_op_symbolic(name, _pool, opset)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(name, opset)


def _pool(g, images, output_size):
    bins = _numbers(output_size)
    if bins == [1, 1]:
        return g.op('GlobalAveragePool', images)
    sizes = g.op('Shape', images)
    rows, columns = (_weights(g, _entry(g, sizes, axis), bins[axis - 2]) for axis in (2, 3))
    pooled = g.op('MatMul', rows, images)
    return g.op('MatMul', pooled, g.op('Transpose', columns, perm_i=[1, 0]))


def _numbers(value):
    """Return the numbers of a constant list in the graph."""
    node = value.node()
    if node.kind() == 'prim::ListConstruct':
        return [int(entry.node().t('value')) for entry in node.inputs()]
    return [int(entry) for entry in node.t('value').tolist()]


def _weights(g, size, bins):
    """Return the matrix (bins, size) that averages ``size`` positions into ``bins``."""
    start = torch.arange(bins)[:, None]
    one = _constant(g, torch.tensor(1))
    count = _constant(g, torch.tensor(bins))
    first = g.op('Div', g.op('Mul', _constant(g, start), size), count)
    # ceil(a / b) = floor((a + b - 1) / b), of integers
    end = g.op('Mul', _constant(g, start + 1), size)
    end = g.op('Div', g.op('Add', end, _constant(g, torch.tensor(bins - 1))), count)
    position = g.op('Range', _constant(g, torch.tensor(0)), size, one)
    within = g.op('And', g.op('Not', g.op('Less', position, first)), g.op('Less', position, end))
    within, length = (
        g.op('Cast', tensor, to_i=torch.onnx.TensorProtoDataType.FLOAT)
        for tensor in (within, g.op('Sub', end, first))
    )
    return g.op('Div', within, length)


def _entry(g, tensor, index):
    return g.op('Gather', tensor, _constant(g, torch.tensor(index)), axis_i=0)


def _constant(g, tensor):
    return g.op('Constant', value_t=tensor)
