"""The HarDNet block as one function, to train on a CPU: faster, and in less memory.

It is computed source by source. For the backward pass the outputs of convolutions alone are kept;
norms and activations are made again.
"""

import math

import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..layers import convolution
from ..layers.memory_pool import is_eager_on_cpu
from ..layers.relu6 import InPlaceReLU6
from .memory import RememberActivation, remember
from .sources import readers_of, weights_by_source

# What an activation lets through.
LARGEST = {nn.ReLU: math.inf, nn.ReLU6: 6.0, InPlaceReLU6: 6.0}


def applies(block, x):
    """Return whether a block in training is one of plain layers, on a CPU, without autocast."""
    return (
        is_eager_on_cpu(x)
        and x.numel() > x.shape[1]  # a norm refuses a single value per channel
        and torch.is_grad_enabled()
        and not _is_autocast()
        and all(_is_plain(layer, x.dtype) for layer in block.layers)
    )


def _is_plain(layer, dtype):
    if type(layer) is not ConvModule or not (layer.with_norm and layer.with_activation):
        return False
    conv, norm = layer.conv, layer.norm
    hooks = [hook for module in layer.modules() for hook in module._forward_hooks.values()]
    return (
        type(conv) is nn.Conv2d
        and conv.weight.dtype == dtype
        and conv.bias is None
        and conv.dilation == (1, 1)
        and conv.padding_mode == 'zeros'
        and layer.order == ('conv', 'norm', 'act')
        and type(norm) is nn.BatchNorm2d
        and (norm.training and norm.affine and norm.track_running_stats)
        and norm.momentum is not None
        and type(layer.activate) in LARGEST
        and all(isinstance(hook, RememberActivation) for hook in hooks)
        and not any(module._forward_pre_hooks for module in layer.modules())
    )


def _is_autocast():
    try:
        return torch.is_autocast_enabled('cpu')
    except TypeError:  # torch 2.1
        return torch.is_autocast_cpu_enabled()


def run(block, x):
    """Map ``(N, in_channels, H, W)`` to the block's ``(N, out_channels, H, W)``, channels-last."""
    parameters = []
    for layer in block.layers:
        parameters += [layer.conv.weight, layer.norm.weight, layer.norm.bias]
    statistics = {}
    x = x.contiguous(memory_format=torch.channels_last)
    output = _BlockFunction.apply(block, statistics, x, *parameters)

    def make_again():
        features = [_activate(block, number, *statistics[number]) for number in block.out_layers]
        return torch.cat(features, dim=1)

    remember(output, make_again)
    return output


def _activate(block, number, conv_output, mean, inverse_deviation):
    """Return the feature of a layer, from the output of its convolution and its statistics."""
    layer = block.layers[number - 1]
    norm, variance = layer.norm, inverse_deviation.pow(-2) - layer.norm.eps
    x = functional.batch_norm(conv_output, mean, variance, norm.weight, norm.bias, eps=norm.eps)
    return x.clamp_(0, LARGEST[type(layer.activate)])


class _BlockFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, block, statistics, x, *parameters):
        kernels = weights_by_source(parameters[0::3], block.links)
        features, conv_outputs = {0: x}, {}
        for number, readers in enumerate(readers_of(block.links)):
            outputs = convolution.convolve(features[number], kernels[number])
            widths = [len(parameters[3 * (reader - 1)]) for reader in readers]
            for reader, part in zip(readers, outputs.split(widths, dim=1)):
                if reader in conv_outputs:
                    conv_outputs[reader] += part
                else:  # a copy, unless it is the whole: other readers' parts are not kept
                    conv_outputs[reader] = part.contiguous(memory_format=torch.channels_last)
            del outputs, part
            if number not in block.out_layers:
                del features[number]
            # a layer's nearest link is the layer before it, so the next one is complete
            number, layer = number + 1, block.layers[number]
            norm = layer.norm
            norm.num_batches_tracked += 1
            feature, mean, inverse_deviation = torch.native_batch_norm(
                conv_outputs[number],
                norm.weight,
                norm.bias,
                norm.running_mean,
                norm.running_var,
                True,
                norm.momentum,
                norm.eps,
            )
            features[number] = feature.clamp_(0, LARGEST[type(layer.activate)])
            statistics[number] = conv_outputs[number], mean, inverse_deviation
        ctx.block = block
        kept = [tensor for number in sorted(statistics) for tensor in statistics[number]]
        ctx.save_for_backward(x, *kept, *parameters)
        return torch.cat([features[number] for number in block.out_layers], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        block = ctx.block
        count = len(block.layers)
        x, *saved = ctx.saved_tensors
        parameters = saved[3 * count :]
        weights = parameters[0::3]
        kernels = weights_by_source(weights, block.links)
        readers_of_all = readers_of(block.links)
        widths = [len(weights[number - 1]) for number in block.out_layers]
        of_outputs = dict(zip(block.out_layers, gradient.split(widths, dim=1)))
        of_convs, of_kernels = {}, {}  # gradients
        of_parameters = [None] * len(parameters)
        for number in reversed(range(count + 1)):
            start = 3 * (number - 1)
            statistics = saved[start : start + 3] if number else ()
            feature = _activate(block, number, *statistics) if number else x
            of_feature = of_outputs.get(number)
            if number == count:
                of_feature = of_feature.clone(memory_format=torch.channels_last)
            else:
                readers = readers_of_all[number]
                of_readers = convolution.concatenate([of_convs[reader] for reader in readers])
                of_kernels[number] = convolution.weight_gradient(feature, of_readers)
                if number or ctx.needs_input_grad[2]:
                    through = convolution.input_gradient(of_readers, kernels[number])
                    of_feature = through if of_feature is None else through.add_(of_feature)
                for reader in readers:
                    if block.links[reader - 1][-1] == number:  # its farthest: nothing else asks
                        del of_convs[reader]
                del of_readers
            if number:
                largest = LARGEST[type(block.layers[number - 1].activate)]
                torch.ops.aten.hardtanh_backward.grad_input(
                    of_feature, feature, 0, largest, grad_input=of_feature
                )
                conv_output, mean, inverse_deviation = statistics
                of_convs[number], *of_parameters[start + 1 : start + 3] = (
                    torch.ops.aten.native_batch_norm_backward(
                        of_feature,
                        conv_output,
                        parameters[start + 1],
                        None,
                        None,
                        mean,
                        inverse_deviation,
                        True,
                        block.layers[number - 1].norm.eps,
                        [True, True, True],
                    )
                )
        of_parameters[0::3] = _by_layer(of_kernels, block.links, readers_of_all, weights)
        return None, None, of_feature, *of_parameters


def _by_layer(of_kernels, links, readers_of_all, weights):
    """Return the gradients of the layers' weights, from those of the weights by source."""
    parts = {}
    for number, readers in enumerate(readers_of_all):
        widths = [len(weights[reader - 1]) for reader in readers]
        for reader, part in zip(readers, of_kernels[number].split(widths)):
            parts[number, reader] = part
    return [
        torch.cat([parts[number, reader] for number in read], dim=1)
        for reader, read in enumerate(links, start=1)
    ]
