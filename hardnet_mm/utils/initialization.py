"""Initializations that mmengine has no name for."""

# PyTorch's own initialization of a convolution's weights, uniform up to 1 / sqrt(inputs), with zero
# biases.
PYTORCH_INIT = dict(
    type='Kaiming',
    layer='Conv2d',
    a=5**0.5,
    mode='fan_in',
    nonlinearity='leaky_relu',
    distribution='uniform',
)
