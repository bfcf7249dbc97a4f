"""Finding the convolutions of a model that can be fused with the norm and activation after them."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..backbones import HarDBlock, HarDNet
from ..foundation import Conv2d, ConvModule
from ..kernels.cpu.buffers import MemoryPool
from .fused_block import FusedBlock
from .fused_conv import FusedConv
from .fused_stage import FusedStage, FusedStem

PLAIN_FORWARDS = nn.Conv2d.forward, Conv2d.forward


class Fusion:
    """Replaces every plain convolution of a model, together with the norm and activation after it.

    Three places are searched: mmcv's ConvModule, neighbours in a Sequential, and the toolboxes'
    residual blocks.

    Args:
        pool (MemoryPool): Pool for the model's intermediate tensors.
        winograd (bool): Whether convolutions may use Winograd's algorithm.
    """

    def __init__(self, pool: MemoryPool, winograd: bool) -> None:
        self.pool = pool
        self.winograd_pool = pool if winograd else None
        # by id: a module, which is stored so that its id stays taken, and what replaces it
        self._done: dict = {}

    def __call__(self, module):
        """Replace the convolutions inside a module."""
        if isinstance(module, nn.Sequential):
            self._fold_neighbours(module)
        elif hasattr(module, 'norm1_name') and 'conv1' in module._modules:
            self._fold_residual(module)
        for name, child in module._modules.items():
            if child is not None:
                module._modules[name] = self._replaced(child)
        if isinstance(module, HarDNet):
            module.stem = FusedStem(module.stem, module.out_indices)
            for index, stage in enumerate(module.stages):
                module.stages[index] = FusedStage(stage, module.out_indices)

    def _replaced(self, module):
        if id(module) not in self._done:
            fused = self._fused(module)
            self(fused)
            if isinstance(fused, HarDBlock):
                fused = FusedBlock(fused, self.pool)
            self._done[id(module)] = module, fused
        return self._done[id(module)][1]

    def _fused(self, module):
        if _is_plain(module):
            return FusedConv(module, pool=self.winograd_pool)
        if not isinstance(module, ConvModule) or not _is_plain(module.conv):
            return module
        norm = module.norm if module.with_norm else None
        act = module.activate if module.with_activation else None
        # weights that are normalised at each run, other padding, norm or activation first
        unusual = module.with_spectral_norm or module.with_explicit_padding
        if unusual or module.order != ('conv', 'norm', 'act'):
            return module
        if norm is not None and not isinstance(norm, _BatchNorm):
            return module
        return FusedConv(module.conv, norm, act, self.winograd_pool)

    def _fold_neighbours(self, sequential):
        names = list(sequential._modules)
        for name, following in zip(names, names[1:]):
            self._fold(sequential, name, following)

    def _fold_residual(self, block):
        """Fold the norms of a residual block, or of a ResNet's stem: conv1, norm1 and so on."""
        for number in (1, 2, 3):
            self._fold(block, f'conv{number}', getattr(block, f'norm{number}_name', None))

    def _fold(self, module, conv, norm):
        """Fold the norm with a given name into the convolution before it."""
        modules = module._modules
        if _is_plain(modules.get(conv)) and isinstance(modules.get(norm), _BatchNorm):
            modules[conv] = FusedConv(modules[conv], modules[norm], pool=self.winograd_pool)
            modules[norm] = nn.Identity()


def _is_plain(conv):
    return (
        isinstance(conv, nn.Conv2d)
        and type(conv).forward in PLAIN_FORWARDS
        and conv.padding_mode == 'zeros'
        and not isinstance(conv.padding, str)
        # not computed anew at each run, as by spectral norm
        and 'weight' in conv._parameters
        and not (conv._forward_pre_hooks or conv._forward_hooks)
    )
