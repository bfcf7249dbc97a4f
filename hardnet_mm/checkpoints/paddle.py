"""Reads PaddleSeg's checkpoints of FC-HarDNet without Paddle, and converts them.

A ``.pdparams`` file is a pickled dict of NumPy arrays, with one entry that is a dict of strings.
"""

import pickle
from pathlib import Path

import numpy as np
import torch

from ..backbones.architectures import get_architecture, group_blocks
from ..backbones.hardnet_block import harmonic_links
from ..utils.errors import InputError

SUFFIX = '.pdparams'
ARCHITECTURE = 'fchardnet70_paddle'
PARAMETERS = {
    '_conv.weight': 'conv.weight',
    '_batch_norm.weight': 'bn.weight',
    '_batch_norm.bias': 'bn.bias',
    '_batch_norm._mean': 'bn.running_mean',
    '_batch_norm._variance': 'bn.running_var',
}
_NAMES = 'StructuredToParameterName@@'
_RECONSTRUCT = np.empty(0).__reduce__()[0]


class _ArrayUnpickler(pickle.Unpickler):
    """Reads NumPy arrays, and refuses everything else that a pickle may name."""

    allowed = {
        ('numpy', 'ndarray'): np.ndarray,
        ('numpy', 'dtype'): np.dtype,
        **{
            (f'numpy.{package}.multiarray', '_reconstruct'): _RECONSTRUCT
            for package in ('core', '_core')
        },
    }

    def find_class(self, module, name):
        """Return the object that a pickle names, if arrays need it.

        Raises:
            UnpicklingError: If they do not.
        """
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f'unsupported global: {module}.{name}')
        return self.allowed[module, name]


def load_arrays(path: str | Path) -> dict:
    """Read a ``.pdparams`` file without running code in it.

    Args:
        path (str | Path): A local file.

    Returns:
        dict[str, Tensor]: The tensors by name, on the CPU.

    Raises:
        pickle.UnpicklingError: If the file names a function. A damaged file may raise anything.
    """
    with open(path, 'rb') as file:
        state = _ArrayUnpickler(file).load()
    return {key: torch.tensor(value) for key, value in state.items() if key != _NAMES}


def is_paddle(state: dict) -> bool:
    """Return whether a state dict belongs to PaddleSeg's FC-HarDNet, by its first layer."""
    return isinstance(state.get('stem.0._conv.weight'), torch.Tensor)


def convert_paddle(state: dict) -> dict:
    """Convert a state dict of PaddleSeg's FC-HarDNet to that of this plugin's end-to-end model.

    PaddleSeg concatenates a layer's links farthest first, this plugin nearest first. The input
    channels of the weights are reordered accordingly, which leaves the function the same.

    Args:
        state (dict[str, Tensor]): PaddleSeg's state dict.

    Returns:
        dict[str, Tensor]: ``backbone.*`` and ``decode_head.*``. The norms' batch counters, which
        Paddle does not have, are zero.

    Raises:
        InputError: If a key or the shape of a weight does not belong to that network.
    """
    modules = dict(_module_names())
    ours = {}
    for key, value in state.items():
        module, parameter = _split(key)
        if module not in modules:
            raise InputError(f'unknown key {key!r} in a checkpoint of PaddleSeg')
        ours[f'{modules[module]}.{parameter}'] = value
        if parameter == 'bn.running_var':
            ours[f'{modules[module]}.bn.num_batches_tracked'] = torch.tensor(0)
    for block in {key.rpartition('.layers.')[0] for key in ours if '.layers.' in key}:
        _put_nearest_first(ours, block)
    return ours


def _split(key):
    """Split a key into its module and our name of its parameter.

    Norms' statistics may have Paddle's names or PyTorch's.
    """
    key = key.replace('running_mean', '_mean').replace('running_var', '_variance')
    for theirs, ours in PARAMETERS.items():
        if key.endswith(f'.{theirs}'):
            return key.removesuffix(f'.{theirs}'), ours
    module, _, parameter = key.rpartition('.')
    return module, parameter


def _put_nearest_first(state, block):
    """Reorder the input channels of a block's weights; the state dict is changed in place."""
    widths = None
    layer = 1
    while (key := f'{block}.layers.{layer - 1}.conv.weight') in state:
        weight = state[key]
        widths = widths or [weight.shape[1]]
        links = harmonic_links(layer)[::-1]
        if sum(widths[link] for link in links) != weight.shape[1]:
            raise InputError(f'{key} has {weight.shape[1]} input channels: no block of HarDNet')
        parts = weight.split([widths[link] for link in links], dim=1)
        state[key] = torch.cat(parts[::-1], dim=1)
        widths.append(len(weight))
        layer += 1


def _module_names():
    """Yield ``(module of PaddleSeg, module of ours)``."""
    arch = get_architecture(ARCHITECTURE)
    for i in range(len(arch['stem_channels'])):
        yield f'stem.{i}', f'backbone.stem.{i}'
    stages = group_blocks(arch['downsample'])  # each has a block, a transition and a pool
    for stage, (number,) in enumerate(stages):
        ours = f'backbone.stages.{stage}'
        yield from _layers(f'encoder.blks.{3 * stage}', f'{ours}.block0', arch, number)
        yield f'encoder.blks.{3 * stage + 1}', f'{ours}.transition0'
    for i, (number,) in enumerate(stages[-2::-1]):
        yield f'decoder.conv1x1_up.{i}', f'decode_head.projections.{i}'
        theirs = f'decoder.dense_blocks_up.{i}'
        yield from _layers(theirs, f'decode_head.blocks.{i}', arch, number)
    yield 'cls_head', 'decode_head.conv_seg'


def _layers(theirs, ours, arch, block):
    for layer in range(arch['num_layers'][block]):
        yield f'{theirs}.layers.{layer}', f'{ours}.layers.{layer}'
