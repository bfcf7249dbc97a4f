"""Focal loss: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017."""

import torch
from torch.nn.functional import logsigmoid

from .operator import operator, widened

REFERENCE = 'float64 from the paper; gradcheck'


def _class_weight(weight, target):
    """Return the weight of each row's class, ``(N, 1)``, or 1 without weights."""
    if not weight.numel():
        return 1
    if not ((target >= 0) & (target < len(weight))).all():
        raise RuntimeError(
            f'focal loss with class weights: targets must be 0 to {len(weight) - 1}, got '
            f'{target.min()} to {target.max()}'
        )
    return weight[target][:, None]


def _is_target(target, classes):
    return target[:, None] == torch.arange(classes, device=target.device)


@operator('sigmoid, logsigmoid', REFERENCE, input='N C', output='N C')
def sigmoid_focal_loss_forward(input, target, weight, output, gamma, alpha):
    """Fill ``output`` ``(N, C)`` with the loss of each score.

    Args:
        input (Tensor): ``(N, C)``, before the sigmoid.
        target (Tensor): ``(N,)``, int64. Values that are not a class, such as C, are background.
        weight (Tensor): ``(C,)``, or empty for no class weights.
        output (Tensor): ``(N, C)``.
        gamma (float): Exponent of the error probability.
        alpha (float): Weight of the target's score; the other scores have ``1 - alpha``.
    """
    (score,) = widened(input)
    probability = score.sigmoid()
    positive = -alpha * (1 - probability) ** gamma * logsigmoid(score)
    negative = -(1 - alpha) * probability**gamma * logsigmoid(-score)
    loss = torch.where(_is_target(target, input.shape[1]), positive, negative)
    output.copy_(loss * _class_weight(weight, target))


@operator('sigmoid, logsigmoid', REFERENCE, input='N C', grad_input='N C')
def sigmoid_focal_loss_backward(input, target, weight, grad_input, gamma, alpha):
    """Fill ``grad_input`` ``(N, C)`` with the derivative of :func:`sigmoid_focal_loss_forward`."""
    (score,) = widened(input)
    right = score.sigmoid()
    wrong = (-score).sigmoid()
    positive = -alpha * wrong**gamma * (wrong - gamma * right * logsigmoid(score))
    negative = (alpha - 1) * right**gamma * (gamma * wrong * logsigmoid(-score) - right)
    slope = torch.where(_is_target(target, input.shape[1]), positive, negative)
    grad_input.copy_(slope * _class_weight(weight, target))


@operator('gather', REFERENCE, input='N C', output='N')
def softmax_focal_loss_forward(input, target, weight, output, gamma, alpha):
    """Fill ``output`` ``(N,)`` with the loss of each row.

    Args:
        input (Tensor): ``(N, C)``, probabilities, since mmcv applies the softmax itself.
        target (Tensor): ``(N,)``, int64. A row with a negative target has no loss.
        weight (Tensor): ``(C,)``, or empty for no class weights.
        output (Tensor): ``(N,)``.
        gamma (float): Exponent of the error probability.
        alpha (float): Weight of all losses.
    """
    counts, probability, log = _of_target(input, target)
    loss = -alpha * (1 - probability) ** gamma * log
    output.copy_((loss * counts * _class_weight(weight, target.clamp(min=0)))[:, 0])


@operator('gather', REFERENCE, input='N C', buff='N', grad_input='N C')
def softmax_focal_loss_backward(input, target, weight, buff, grad_input, gamma, alpha):
    """Fill ``grad_input`` ``(N, C)`` with the derivative of the loss by the softmax's input.

    ``buff`` ``(N,)`` gets the derivative by the logarithm of the target's probability.
    """
    counts, probability, log = _of_target(input, target)
    wrong = 1 - probability
    slope = alpha * (gamma * wrong ** (gamma - 1) * probability * log - wrong**gamma)
    slope = slope * counts * _class_weight(weight, target.clamp(min=0))
    buff.copy_(slope[:, 0])
    grad_input.copy_(slope * (_is_target(target, input.shape[1]).to(slope) - widened(input)[0]))


def _of_target(probabilities, target):
    """Return whether each row counts, its target's probability, and the logarithm of that."""
    classes = probabilities.shape[1]
    if probabilities.device.type == 'cpu' and (target >= classes).any():
        raise RuntimeError(
            f'softmax focal loss: targets must be below {classes}, got {target.max()}'
        )
    (probabilities,) = widened(probabilities)
    probability = probabilities.gather(1, target.clamp(min=0)[:, None])
    smallest = torch.finfo(torch.float32).tiny
    return (target >= 0)[:, None], probability, probability.clamp(min=smallest).log()
