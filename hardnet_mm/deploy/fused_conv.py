"""Convolution, norm and activation as one module, and where a model has them."""

import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

try:
    from torch.compiler import is_compiling
except ImportError:  # torch 2.1
    from torch._dynamo import is_compiling

# What oneDNN computes with the convolution: its name, and its numbers.
ONEDNN_ACTIVATIONS = {
    nn.ReLU: lambda act: ('relu', []),
    nn.ReLU6: lambda act: ('hardtanh', [0.0, 6.0]),
    nn.LeakyReLU: lambda act: ('leaky_relu', [act.negative_slope]),
    nn.SiLU: lambda act: ('swish', []),
    nn.Hardswish: lambda act: ('hardswish', []),
    nn.Sigmoid: lambda act: ('sigmoid', []),
}


class FusedConv(nn.Module):
    """A convolution with its norm folded in and its activation in place, for inference alone.

    On a CPU, oneDNN computes both in one pass, on weights that are laid out for it once.

    Args:
        conv (nn.Conv2d): The convolution.
        norm (_BatchNorm, optional): The norm after it, whose running statistics are folded.
        act (nn.Module, optional): The activation after that.
    """

    def __init__(self, conv, norm=None, act=None):
        super().__init__()
        conv = conv if norm is None else fuse_conv_bn_eval(conv.eval(), norm.eval())
        self.weight = nn.Parameter(conv.weight.detach(), requires_grad=False)
        self.bias = conv.bias
        if self.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach(), requires_grad=False)
        self.padding, self.stride = list(conv.padding), list(conv.stride)
        self.dilation, self.groups = list(conv.dilation), conv.groups
        self.act = nn.Identity() if act is None else act
        if hasattr(self.act, 'inplace'):
            self.act.inplace = True
        fused = ONEDNN_ACTIVATIONS.get(type(self.act))
        self.fused_act = fused(self.act) if fused else ('none', [])
        self.rest = nn.Identity() if fused else self.act  # what oneDNN leaves to do
        self._packed = {}

    def forward(self, x):
        """Map ``(N, C, H, W)`` to the activated ``(N, out_channels, H', W')``."""
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        if self._onednn_can(x):
            weight = self._pack(x, geometry)
            name, numbers = self.fused_act
            x = torch.ops.mkldnn._convolution_pointwise(
                x, weight, self.bias, *geometry, name, numbers, ''
            )
            return self.rest(x)
        x = functional.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )
        return self.act(x)

    def _onednn_can(self, x):
        # Tracers and compilers see a plain convolution, which they fuse by themselves.
        return (
            not is_compiling()
            and not torch.jit.is_tracing()
            and x.device.type == 'cpu'
            and torch.backends.mkldnn.is_available()
            and x.is_contiguous(memory_format=torch.channels_last)
            and (x.dtype == torch.float32 or x.dtype == torch.bfloat16)
        )

    def _pack(self, x, geometry):
        """Return the weights as oneDNN wants them for inputs of this shape, laid out once."""
        key = (x.shape, x.dtype, self.weight.data_ptr(), self.weight._version)
        if key not in self._packed:
            if len(self._packed) > 8:  # of a model that sees many sizes
                self._packed.clear()
            self._packed[key] = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, *geometry, list(x.shape)
            )
        return self._packed[key]

    def __getstate__(self):
        """Leave the packed weights out of copies and files; they are made again."""
        return {**self.__dict__, '_packed': {}}


def fuse(module, done=None):
    """Replace, in place, every convolution whose norm and activation are known to follow it.

    Those are mmcv's ConvModules, neighbours in a Sequential, and the toolboxes' residual blocks.
    """
    done = {} if done is None else done
    for name, child in list(module._modules.items()):
        if child is None:
            continue
        if id(child) not in done:
            done[id(child)] = child, _fused(child)  # the child, too: ids of what is gone are reused
            fuse(done[id(child)][1], done)
        module._modules[name] = done[id(child)][1]
    if isinstance(module, nn.Sequential):
        _fuse_neighbours(module)
    elif hasattr(module, 'norm1_name') and 'conv1' in module._modules:
        _fuse_residual(module)


def _is_plain(conv):
    return (
        isinstance(conv, nn.Conv2d)
        and conv.padding_mode == 'zeros'
        and (not isinstance(conv.padding, str) and type(conv).forward in PLAIN_FORWARDS)
    )


def _plain_forwards():
    from mmcv.cnn.bricks.wrappers import Conv2d

    return nn.Conv2d.forward, Conv2d.forward


PLAIN_FORWARDS = _plain_forwards()


def _fused(module):
    if not isinstance(module, ConvModule) or not _is_plain(module.conv):
        return module
    norm = module.norm if module.with_norm else None
    act = module.activate if module.with_activation else None
    # weights that are normalised anew, padding of another kind, norm or activation first
    unusual = module.with_spectral_norm or module.with_explicit_padding
    if unusual or module.order != ('conv', 'norm', 'act'):
        return module
    if norm is not None and not isinstance(norm, _BatchNorm):
        return module
    return FusedConv(module.conv, norm, act)


def _fuse_neighbours(sequential):
    names = list(sequential._modules)
    for name, following in zip(names, names[1:]):
        conv, norm = sequential._modules[name], sequential._modules[following]
        if _is_plain(conv) and isinstance(norm, _BatchNorm):
            sequential._modules[name] = FusedConv(conv, norm)
            sequential._modules[following] = nn.Identity()


def _fuse_residual(block):
    """Fold the norms of a residual block, or of a ResNet's stem: conv1, norm1 and so on."""
    for number in (1, 2, 3):
        name = getattr(block, f'norm{number}_name', None)
        conv, norm = block._modules.get(f'conv{number}'), block._modules.get(name)
        if _is_plain(conv) and isinstance(norm, _BatchNorm):
            block._modules[f'conv{number}'] = FusedConv(conv, norm)
            block._modules[name] = nn.Identity()
