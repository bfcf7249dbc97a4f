"""The operators of mmcv's synchronized BatchNorm, ``MMSyncBN``. mmcv itself exchanges the means."""

from .operator import operator

USING = 'mean, sum'
REFERENCE = 'torch BatchNorm, float64'


@operator(USING, REFERENCE, input='N C L', mean='C')
def sync_bn_forward_mean(input, mean):
    """Fill ``mean`` ``(C,)`` with that of ``input`` ``(N, C, L)``."""
    mean.copy_(input.to(mean).mean(dim=(0, 2)))


@operator(USING, REFERENCE, input='N C L', mean='C', var='C')
def sync_bn_forward_var(input, mean, var):
    """Fill ``var`` ``(C,)`` with the variance around ``mean``."""
    var.copy_((input.to(mean) - mean[:, None]).square().mean(dim=(0, 2)))


@operator(USING, REFERENCE, input='N C L', mean='C', var='C', norm='N C L', output='N C L')
def sync_bn_forward_output(
    input,
    mean,
    var,
    weight,
    bias,
    running_mean,
    running_var,
    norm,
    std,
    output,
    eps,
    momentum,
    group_size,
):
    """Fill ``norm``, ``std`` and ``output``, and update the running statistics."""
    std.copy_((var + eps).sqrt())
    norm.copy_((input.to(mean) - mean[:, None]) / std[:, None])
    affine = norm * weight[:, None] + bias[:, None] if weight.numel() else norm
    output.copy_(affine)
    if running_mean.numel():
        count = input.shape[0] * input.shape[2] * group_size
        unbiased = var * count / (count - 1) if count > 1 else var
        for running, new in ((running_mean, mean), (running_var, unbiased)):
            running.copy_(momentum * new + (1 - momentum) * running)


@operator(USING, REFERENCE, grad_output='N C L', norm='N C L', grad_weight='C', grad_bias='C')
def sync_bn_backward_param(grad_output, norm, grad_weight, grad_bias):
    """Fill the gradients of weight and bias."""
    grads = grad_output.to(norm)
    grad_weight.copy_((grads * norm).sum(dim=(0, 2)))
    grad_bias.copy_(grads.sum(dim=(0, 2)))


@operator(USING, REFERENCE, grad_output='N C L', norm='N C L', grad_input='N C L')
def sync_bn_backward_data(grad_output, weight, grad_weight, grad_bias, norm, std, grad_input):
    """Fill the gradient of the input."""
    count = grad_output.shape[0] * grad_output.shape[2]
    common = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad_input.copy_(weight[:, None] * (grad_output.to(norm) - common) / std[:, None])
