"""HarDNet, the backbone."""

import math
from collections.abc import Sequence

from mmengine.model import BaseModule, ModuleList
from mmengine.registry import FUNCTIONS
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..registry import BACKBONES
from ..utils.errors import InputError
from .architectures import get_architecture, plan_stages
from .groups import check_groups
from .official_keys import adapt_to_backbone
from .stages import POOLS, make_stage, make_stem

MIN_INPUT_SIZE = 32


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
        norm_eval (bool): Whether norm layers keep their statistics while training. Defaults to
            False.
        with_cp (bool): Whether to recompute blocks in the backward pass, to save memory. Each step
            then updates the running statistics of their norms twice, as with mmdet's ResNet.
            Defaults to False.
        memory_efficient (bool): Whether to recompute concatenations, norms and activations in the
            backward pass, but no convolution; see :mod:`hardnet_mm.training.recomputation`.
            Statistics are updated once. Defaults to False.
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
        arch: str | dict,
        in_channels: int = 3,
        out_indices: Sequence[int | str] = (0, 1, 2, 3),
        pool: str | None = None,
        strides: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        ceil_mode: bool | Sequence[bool] = False,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        memory_efficient: bool = False,
        norm_cfg: dict = dict(type='BN', requires_grad=True),
        act_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        arch = get_architecture(arch)
        pool = pool or arch['pool']
        if pool not in POOLS:
            raise ValueError(f'pool must be one of {list(POOLS)}, got {pool!r}')
        self.out_indices = tuple(out_indices)
        if norm_cfg.get('type') == 'GN':
            check_groups(lambda: HarDNet(arch, out_indices=out_indices), norm_cfg)
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        plan = plan_stages(arch, self.out_indices, strides, dilations, ceil_mode)
        if not -1 <= frozen_stages <= len(plan):
            raise ValueError(
                f'frozen_stages must be -1 to {len(plan)}, the stages that out_indices '
                f'{self.out_indices} need, got {frozen_stages}'
            )
        conv_cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg or dict(type=arch['act']))

        self.stem = make_stem(arch, in_channels, conv_cfg)
        self.stages = ModuleList()
        channels, stride = arch['stem_channels'][-1], math.prod(arch['stem_strides'])
        # channels and stride of each output that there is
        shapes: dict[str | int, tuple[int, int]] = {
            f'stem{i}': (width, math.prod(arch['stem_strides'][: i + 1]))
            for i, width in enumerate(arch['stem_channels'])
        }
        for index, stage_plan in enumerate(plan):
            stage = make_stage(index, channels, stage_plan, arch, pool, conv_cfg)
            channels, stride = stage.out_channels, stride * stage_plan.stride
            shapes.update(
                {f'block{index}': (stage.block_channels, stride), index: (channels, stride)}
            )
            self.stages.append(stage)
        self.channels = tuple(shapes[index][0] for index in self.out_indices)
        self.out_strides = tuple(shapes[index][1] for index in self.out_indices)

        self._freeze_stages()
        self._register_load_state_dict_pre_hook(adapt_to_backbone)
        if with_cp or memory_efficient:
            # The same layers, parameters and values, stored otherwise for the backward pass. By its
            # registered name, so that nothing of it is on the paper's page.
            FUNCTIONS.get('recompute')(self, blocks=with_cp, features=memory_efficient)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs of an image batch.

        Args:
            x (Tensor): ``(N, in_channels, H, W)``, H and W at least 32 and otherwise free.

        Returns:
            tuple[Tensor]: ``(N, channels[i], H / out_strides[i], W / out_strides[i])``, sizes
            rounded as the pools round them, in the order of ``out_indices``.

        Raises:
            InputError: If H or W is smaller than the deepest stride can divide.
        """
        self._check_size(x.shape[-2], x.shape[-1])
        outputs = {}

        def store(name, feature):
            if name in self.out_indices:
                outputs[name] = feature

        x = self.stem(x, store)
        for index, stage in enumerate(self.stages):
            x = stage(x, store)
            store(index, x)
        return tuple(outputs[index] for index in self.out_indices)

    def _check_size(self, height, width):
        smallest = max(MIN_INPUT_SIZE, *self.out_strides)
        # symbols of a tracer are not compared: they stand for any size
        if isinstance(height, int) and isinstance(width, int) and min(height, width) < smallest:
            raise InputError(
                f'HarDNet needs an input of at least {smallest} x {smallest} pixels, '
                f'got {height} x {width}'
            )

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        The stem has depth 0, stage i depth i + 1, and what is not the backbone's the last one.
        mmpretrain's ``LearningRateDecayOptimWrapperConstructor`` asks for it.
        """
        num_depths = len(self.stages) + 2
        if not param_name.startswith(prefix):
            return num_depths - 1, num_depths
        part, index, *_ = param_name.removeprefix(prefix).split('.')
        return (int(index) + 1 if part == 'stages' else 0), num_depths

    def _freeze_stages(self):
        if self.frozen_stages >= 0:
            for module in (self.stem, *self.stages[: self.frozen_stages]):
                module.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> 'HarDNet':
        """Set the training mode, but keep frozen stages, and norms under norm_eval, in eval."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
