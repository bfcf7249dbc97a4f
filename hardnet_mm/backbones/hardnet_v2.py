"""HarDNetV2, the backbone of HarDNet-DFUS."""

from collections import defaultdict
from collections.abc import Sequence

from torch import Tensor, nn

from ..foundation import BaseModule, ConvModule, ModuleList
from ..registry import BACKBONES
from ..utils.arguments import typed
from .architectures import count_stages, get_architecture_v2, group_blocks
from .hardnet_block import concatenate, dense_conv
from .official_keys import adapt_to_backbone
from .staged import StagedBackbone
from .stages import Stage, make_stem

SQUEEZE = 20  # times fewer channels within the squeeze and excitation


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, ascending."""
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


class HarDBlockV2(BaseModule):
    """Block of HarDNetV2 (HarDNet-DFUS, https://arxiv.org/abs/2209.07313).

    The block has n layers. Node 0 is its input, and node k the output of layer k. Node k is divided
    into chunks of equal width, one for each divisor d of n that divides k. Node k + d reads that
    chunk, so every value is read once. A layer is Conv3x3 - norm - activation, with as many output
    channels as input channels. The output is the concatenation of ``out_nodes``, in ascending
    order, and of node n, which is as wide as the input.

    Args:
        channels (int): Channels of the input. A chunk has ``channels / (divisors of n)`` channels.
        num_layers (int): Number of layers, n.
        out_nodes (Sequence[int]): Nodes of the output besides n, ascending.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
        act_cfg (dict): Config of the activations. Defaults to ``dict(type='InPlaceReLU6')``.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If the number of divisors does not divide ``channels``, or an output is none of
            the nodes.
    """

    def __init__(
        self,
        channels: int,
        num_layers: int,
        out_nodes: Sequence[int],
        norm_cfg: dict = dict(type='BN'),
        act_cfg: dict = dict(type='InPlaceReLU6'),
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        steps = divisors(num_layers)
        if channels % len(steps):
            raise ValueError(
                f'{num_layers} layers have the divisors {steps}, and {len(steps)} does not divide '
                f'{channels} channels'
            )
        if not set(out_nodes) <= set(range(1, num_layers)):
            raise ValueError(f'out_nodes must be from 1 to {num_layers - 1}, got {out_nodes}')
        self.growth = channels // len(steps)
        # the distances d by which each node's chunks are passed on
        self.steps = [[d for d in steps if node % d == 0] for node in range(num_layers + 1)]
        widths = [self.growth * len(of_node) for of_node in self.steps]
        self.layers = ModuleList(dense_conv(w, w, norm_cfg, act_cfg) for w in widths[1:])
        self.out_nodes = [*out_nodes, num_layers]
        self.out_channels = sum(widths[node] for node in self.out_nodes)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to ``(N, out_channels, H, W)``."""
        # by the node that reads them; those of one node stand in the order of their own nodes
        chunks: defaultdict[int, list[Tensor]] = defaultdict(list)
        outputs = []
        for node, steps in enumerate(self.steps):
            if node:
                x = self.layers[node - 1](concatenate(chunks.pop(node)))
            if node in self.out_nodes:
                outputs.append(x)
            if node < len(self.layers):
                for step, chunk in zip(steps, x.split(self.growth, dim=1)):
                    chunks[node + step].append(chunk)
        return concatenate(outputs)


class SqueezeExcitation(nn.Module):
    """Weigh channels by two linear layers without bias, applied to the mean of the feature map.

    Args:
        channels (int): Channels of the map.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = nn.Linear(channels, max(channels // SQUEEZE, 1), bias=False)
        self.excite = nn.Linear(self.squeeze.out_features, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to the same shape."""
        weights = self.excite(self.squeeze(x.mean(dim=(2, 3))).relu()).sigmoid()
        return x * weights[:, :, None, None]


@BACKBONES.register_module()
class HarDNetV2(StagedBackbone):
    """HarDNetV2 (HarDNet-DFUS, https://arxiv.org/abs/2209.07313).

    A stem of two Conv3x3s, then stages: a MaxPool2x2, then one or two blocks, each followed by a
    :class:`SqueezeExcitation` and a transition (Conv1x1 - norm - activation). Only what the deepest
    output needs is built.

    Args:
        arch (str | dict): Name of a published variant, 'hardnetv2_53', or a dict of its fields in
            :data:`hardnet_mm.backbones.architectures.ARCHITECTURES_V2`.
        in_channels (int): Channels of the input image. Defaults to 3.
        out_indices (Sequence[int | str]): The outputs, as of :class:`HarDNet`; 'block0' is that of
            stage 0's last block, before its transition. Defaults to (0, 1, 2, 3).
        frozen_stages (int): As of :class:`HarDNet`. Defaults to -1.
        norm_eval (bool): Whether norm layers keep their statistics while training. Defaults to
            False.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
        act_cfg (dict, optional): Config of the activations. Defaults to None: ReLU6.
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to None:
            He-normal convolutions.

    Attributes:
        channels (tuple[int]): Channels of each output, in the order of ``out_indices``.
        out_strides (tuple[int]): Stride of each output, likewise.

    Raises:
        ValueError: If an argument is none of the allowed values.
    """

    @typed
    def __init__(
        self,
        arch: str | dict = 'hardnetv2_53',
        in_channels: int = 3,
        out_indices: Sequence[int | str] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict = dict(type='BN', requires_grad=True),
        act_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        arch = get_architecture_v2(arch)
        self.out_indices = tuple(out_indices)
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        groups = group_blocks(arch['downsample'])
        num_stages = count_stages(self.out_indices, len(arch['stem_channels']), len(groups))
        self._check_frozen_stages(num_stages)
        conv_cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg or dict(type=arch['act']))
        stem_arch = dict(arch, depthwise=False, stem_padding='symmetric')
        self.stem = make_stem(stem_arch, in_channels, conv_cfg)
        self.stages = ModuleList()
        channels = arch['stem_channels'][-1]
        for index, blocks in enumerate(groups[:num_stages]):
            # if the deepest output is before the last transition, that transition is not built
            ends_early = index == num_stages - 1 and index not in self.out_indices
            stage = make_stage_v2(index, channels, blocks, arch, ends_early, conv_cfg)
            channels = stage.out_channels
            self.stages.append(stage)
        self._set_output_shapes(arch, [2] * num_stages)
        self._freeze_stages()
        self._register_load_state_dict_pre_hook(adapt_to_backbone)


def make_stage_v2(index, channels, blocks, arch, ends_early, conv_cfg):
    """Return a stage: a pool, then the blocks with the given indices."""
    stage = Stage()
    stage.add_module('pool', nn.MaxPool2d(2))
    for i, number in enumerate(blocks):
        block = HarDBlockV2(
            channels, arch['num_layers'][number], arch['out_nodes'][number], **conv_cfg
        )
        stage.add_module(f'block{i}', block)
        stage.add_module(f'excitation{i}', SqueezeExcitation(block.out_channels))
        stage.block_channels = channels = block.out_channels
        stage.outputs = {f'excitation{i}': f'block{index}'}
        if not (ends_early and number == blocks[-1]):
            width = arch['transition_channels'][number]
            stage.add_module(f'transition{i}', ConvModule(channels, width, 1, **conv_cfg))
            channels = width
    stage.out_channels = channels
    return stage
