"""HarDNet, the backbone."""

from contextlib import nullcontext

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..checkpoints import keys
from ..registry import BACKBONES
from ..training.recomputation import RecomputeFeatures, remember_activations
from ..utils.tracing import in_plain_autograd, is_eager
from .architectures import get_architecture, group_blocks
from .hardnet_block import HarDBlock, depthwise_conv

MIN_INPUT_SIZE = 32
POOLS = dict(max=nn.MaxPool2d, avg=nn.AvgPool2d)


class Stage(nn.Sequential):
    """Layers one after another, of which some give an output besides the last.

    Attributes:
        outputs (dict[str, str]): What the outputs wanted are called, by the layers' names.
    """

    def __init__(self, *layers):
        super().__init__(*layers)
        self.outputs = {}

    def forward(self, x, keep=None):
        """Map ``(N, C_in, H, W)`` to the last layer's output; call ``keep(name, output)``.

        ``keep`` is a function, since wrappers as FSDP's copy the dicts and lists that they pass on.
        """
        for name, layer in self.named_children():
            x = layer(x)
            if keep is not None and name in self.outputs:
                keep(self.outputs[name], x)
        return x


@BACKBONES.register_module()
class HarDNet(BaseModule):
    """HarDNet: A Low Memory Traffic Network (ICCV 2019, https://arxiv.org/abs/1909.00948).

    The stem's convolutions come first, then stages; a stage is a downsampling, then one or two
    blocks, each followed by a transition (Conv1x1 - norm - activation). Only what the deepest
    output needs is built, so no parameter is left without a gradient.

    Args:
        arch (str | dict): Name of a published variant ('hardnet39ds', 'hardnet68ds', 'hardnet68',
            'hardnet85', 'fchardnet70'), or a dict of the fields in
            :mod:`hardnet_mm.backbones.architectures`.
        in_channels (int): Channels of the input image. Defaults to 3.
        out_indices (Sequence[int | str]): The outputs, in the order wanted. A number is a stage:
            0, 1, 2, 3 are the transitions at strides 4, 8, 16, 32 (fchardnet70 has a fifth).
            'block1' is the output of stage 1's last block, before its transition, and 'stem0' that
            of the stem's first convolution. Defaults to (0, 1, 2, 3).
        pool (str, optional): Kind of the downsampling, 'max' or 'avg' (which counts zero padding);
            depthwise variants have convolutions in its place. Defaults to None: the variant's own.
        strides (Sequence[int], optional): Stride of each stage's downsampling, 1 or 2; the first
            is 1, since the stem ends at stride 4, as a ResNet's does. Defaults to None: 1 2 2 2.
        dilations (Sequence[int], optional): Dilation of each stage's blocks; with
            ``strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)`` the last stages stay at stride 8.
            Defaults to None: 1.
        ceil_mode (bool | Sequence[bool]): Whether the 2x2 pools round sizes up, for all, or stage
            by stage. Defaults to False.
        frozen_stages (int): Stages to freeze, norm statistics included: 0 is the stem alone, 1 the
            stem and the first stage, and so on; -1 is none. Defaults to -1.
        norm_eval (bool): Whether norm layers keep their statistics while training.
            Defaults to False.
        with_cp (bool): Whether to recompute blocks in the backward pass, to save memory. Each step
            then updates the running statistics of their norms twice, as with mmdet's ResNet.
            Defaults to False.
        memory_efficient (bool): Whether to recompute concatenations, norms and activations in the
            backward pass, but no convolution. Statistics are updated once. A parameter that is
            changed between the two passes is refused, a norm's bias included. Either way of
            saving memory is left to the compiler under ``torch.compile`` and ``torch.export``,
            and is off under ``torch.func``'s transforms and tracers. Defaults to False.
        norm_cfg (dict): Config of the norm layers. Defaults to ``dict(type='BN')``.
        act_cfg (dict, optional): Config of the activations. Defaults to None: the variant's own.
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to None:
            He-normal convolutions.

    Attributes:
        channels (tuple[int]): Channels of each output, in the order of ``out_indices``.
        out_strides (tuple[int]): Stride of each output, likewise.

    Raises:
        ValueError: If an argument is none of the allowed values.
    """

    def __init__(
        self,
        arch,
        in_channels=3,
        out_indices=(0, 1, 2, 3),
        pool=None,
        strides=None,
        dilations=None,
        ceil_mode=False,
        frozen_stages=-1,
        norm_eval=False,
        with_cp=False,
        memory_efficient=False,
        norm_cfg=dict(type='BN', requires_grad=True),
        act_cfg=None,
        init_cfg=None,
    ):
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        arch = get_architecture(arch)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.memory_efficient = memory_efficient
        pool = pool or arch['pool']
        if pool not in POOLS:
            raise ValueError(f'pool must be one of {list(POOLS)}, got {pool!r}')

        stages = group_blocks(arch['downsample'])
        num_stages = self._count_stages(len(arch['stem_channels']), len(stages))
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(
                f'frozen_stages must be -1 to {num_stages}, the stages that out_indices '
                f'{self.out_indices} need, got {frozen_stages}'
            )
        if isinstance(ceil_mode, bool):
            ceil_mode = (ceil_mode,) * len(stages)
        strides = tuple(strides or (1,) + (2,) * (len(stages) - 1))
        dilations = tuple(dilations or (1,) * len(stages))
        for name, values in dict(ceil_mode=ceil_mode, strides=strides, dilations=dilations).items():
            if len(values) < num_stages:
                raise ValueError(
                    f'{name} must have a value for each of {num_stages} stages, got {values}'
                )
        if strides[0] != 1 or not set(strides) <= {1, 2}:
            raise ValueError(f'strides must be 1, then each 1 or 2, got {strides}')
        strides = (1 + arch['stem_pool'], *strides[1:])

        conv_cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg or dict(type=arch['act']))
        outputs = {}  # what out_indices may name: (channels, stride)
        channels, stride = in_channels, 1

        self.stem = Stage()
        for i, (width, step) in enumerate(zip(arch['stem_channels'], arch['stem_strides'])):
            kernel = 1 if arch['depthwise'] and i > 0 else 3
            self.stem.append(
                ConvModule(channels, width, kernel, stride=step, padding=kernel // 2, **conv_cfg)
            )
            channels, stride = width, stride * step
            outputs[f'stem{i}'] = channels, stride
            if f'stem{i}' in self.out_indices:
                self.stem.outputs[str(i)] = f'stem{i}'

        self.stages = ModuleList()
        for index, blocks in enumerate(stages[:num_stages]):
            stage = Stage()
            stride *= strides[index]
            if index or arch['stem_pool']:
                if arch['depthwise']:
                    downsample = depthwise_conv(channels, norm_cfg, stride=strides[index])
                elif strides[index] == 1:
                    downsample = nn.Identity()
                elif index == 0:
                    downsample = POOLS[pool](3, stride=2, padding=1)
                else:
                    downsample = POOLS[pool](2, stride=2, ceil_mode=ceil_mode[index])
                stage.add_module('downsample', downsample)
            for i, number in enumerate(blocks):
                block = HarDBlock(
                    channels,
                    arch['growth_rates'][number],
                    arch['growth_multiplier'],
                    arch['num_layers'][number],
                    depthwise=arch['depthwise'],
                    dilation=dilations[index],
                    with_cp=with_cp,
                    **conv_cfg,
                )
                stage.add_module(f'block{i}', block)
                outputs[f'block{index}'] = block.out_channels, stride
                if number == stages[num_stages - 1][-1]:
                    if num_stages - 1 not in self.out_indices:
                        continue  # the deepest output is before this transition
                    if arch['dropout'] and number == len(arch['downsample']) - 1:
                        stage.add_module('dropout', nn.Dropout(arch['dropout']))
                channels = arch['transition_channels'][number]
                stage.add_module(
                    f'transition{i}', ConvModule(block.out_channels, channels, 1, **conv_cfg)
                )
            if f'block{index}' in self.out_indices:
                stage.outputs[f'block{len(blocks) - 1}'] = f'block{index}'
            outputs[index] = channels, stride
            self.stages.append(stage)

        self.channels = tuple(outputs[index][0] for index in self.out_indices)
        self.out_strides = tuple(outputs[index][1] for index in self.out_indices)
        if memory_efficient:
            remember_activations(self)
        self._freeze_stages()
        self._register_load_state_dict_pre_hook(keys.adapt_to_backbone)

    def _count_stages(self, num_stem_layers, num_stages):
        """Return how many stages the deepest of ``out_indices`` needs; refuse unknown ones."""
        depth = {f'stem{i}': 0 for i in range(num_stem_layers)}
        for index in range(num_stages):
            depth[f'block{index}'] = depth[index] = index + 1
        if not self.out_indices or any(index not in depth for index in self.out_indices):
            raise ValueError(f'out_indices must be some of {list(depth)}, got {self.out_indices}')
        return max(depth[index] for index in self.out_indices)

    def forward(self, x):
        """Compute the outputs of an image batch.

        Args:
            x (Tensor): ``(N, in_channels, H, W)``, H and W at least 32 and otherwise free.

        Returns:
            tuple[Tensor]: ``(N, channels[i], H / out_strides[i], W / out_strides[i])``, sizes
            rounded as the pools round them, in the order of ``out_indices``.

        Raises:
            ValueError: If H or W is smaller than the deepest stride can divide.
        """
        if is_eager(x):
            self._check_size(*x.shape[-2:])
        recompute = self.memory_efficient and in_plain_autograd(x)
        outputs = {}
        with RecomputeFeatures() if recompute else nullcontext():
            x = self.stem(x, outputs.__setitem__)
            for index, stage in enumerate(self.stages):
                x = stage(x, outputs.__setitem__)
                if index in self.out_indices:
                    outputs[index] = x
        return tuple(outputs[index] for index in self.out_indices)

    def _check_size(self, height, width):
        smallest = max(MIN_INPUT_SIZE, *self.out_strides)
        if min(height, width) < smallest:
            raise ValueError(
                f'HarDNet needs an input of at least {smallest} x {smallest} pixels, '
                f'got {height} x {width}'
            )

    def get_layer_depth(self, param_name, prefix=''):
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        The stem has depth 0, stage i depth i + 1, and what is not the backbone's the last one.
        mmpretrain's ``LearningRateDecayOptimWrapperConstructor`` asks for it.

        Args:
            param_name (str): Name of the parameter in the model.
            prefix (str): What the backbone's names begin with in it. Defaults to ''.

        Returns:
            tuple[int, int]: The depth, and how many there are.
        """
        num_depths = len(self.stages) + 2
        if not param_name.startswith(prefix):
            return num_depths - 1, num_depths
        part, index, *_ = param_name.removeprefix(prefix).split('.')
        return (int(index) + 1 if part == 'stages' else 0), num_depths

    def _freeze_stages(self):
        if self.frozen_stages < 0:
            return
        for module in (self.stem, *self.stages[: self.frozen_stages]):
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad = False

    def train(self, mode=True):
        """Set the training mode, but keep frozen stages, and norms under norm_eval, in eval."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
