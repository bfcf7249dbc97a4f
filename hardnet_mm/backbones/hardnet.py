"""HarDNet, the backbone."""

from collections.abc import Sequence

from ..foundation import ModuleList
from ..registry import BACKBONES, FUNCTIONS
from ..utils.arguments import typed
from .architectures import get_architecture, plan_stages
from .groups import check_groups
from .official_keys import adapt_to_backbone
from .staged import StagedBackbone
from .stages import POOLS, make_stage, make_stem


@BACKBONES.register_module()
class HarDNet(StagedBackbone):
    """HarDNet: A Low Memory Traffic Network (ICCV 2019, https://arxiv.org/abs/1909.00948).

    The network is a stem of convolutions, then stages. A stage is a downsampling layer, then one or
    two blocks, each followed by a transition (Conv1x1 - norm - activation). Layers after the
    deepest output are not built, so that every parameter gets a gradient.

    Args:
        arch (str | dict): Name of a published variant ('hardnet39ds', 'hardnet68ds', 'hardnet68',
            'hardnet85', 'fchardnet70'), or a dict of the fields in
            :mod:`hardnet_mm.backbones.architectures`.
        in_channels (int): Channels of the input image. Defaults to 3.
        out_indices (Sequence[int | str]): The outputs, in the order wanted. A number is a stage:
            0, 1, 2, 3 are the transitions at strides 4, 8, 16, 32 (fchardnet70 has a fifth).
            'block1' is the output of stage 1's last block, before its transition, and 'stem0' that
            of the stem's first convolution. Defaults to (0, 1, 2, 3).
        pool (str, optional): Type of the downsampling, 'max' or 'avg' (which includes zero
            padding). Depthwise variants have convolutions instead. Defaults to None: the variant's
            own.
        strides (Sequence[int], optional): Stride of each stage's downsampling, 1 or 2; the first
            is 1, since the stem ends at stride 4, as a ResNet's does. Defaults to None: 1 2 2 2.
        dilations (Sequence[int], optional): Dilation of each stage's blocks; with
            ``strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)`` the last stages stay at stride 8.
            Defaults to None: 1.
        ceil_mode (bool | Sequence[bool]): Whether the 2x2 pools round sizes up, for all, or stage
            by stage. Defaults to False.
        frozen_stages (int): Stages to freeze, including their norm statistics. 0 freezes only the
            stem, 1 the stem and the first stage, and so on; -1 freezes nothing. Defaults to -1.
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

    @typed
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
        super().__init__(init_cfg)
        arch = get_architecture(arch)
        pool = pool or arch['pool']
        if pool not in POOLS:
            raise ValueError(f'pool must be one of {list(POOLS)}, got {pool!r}')
        self.out_indices = tuple(out_indices)
        check_groups(lambda: HarDNet(arch, out_indices=out_indices), norm_cfg)
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        plan = plan_stages(arch, self.out_indices, strides, dilations, ceil_mode)
        self._check_frozen_stages(len(plan))
        conv_cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg or dict(type=arch['act']))

        self.stem = make_stem(arch, in_channels, conv_cfg)
        self.stages = ModuleList()
        channels = arch['stem_channels'][-1]
        for index, stage_plan in enumerate(plan):
            stage = make_stage(index, channels, stage_plan, arch, pool, conv_cfg)
            channels = stage.out_channels
            self.stages.append(stage)
        self._set_output_shapes(arch, [stage_plan.stride for stage_plan in plan])

        self._freeze_stages()
        self._register_load_state_dict_pre_hook(adapt_to_backbone)
        if with_cp or memory_efficient:
            # This only changes which tensors are stored for the backward pass. It is found by its
            # registered name, so that this module contains the paper's network alone.
            FUNCTIONS.get('recompute')(self, blocks=with_cp, features=memory_efficient)
